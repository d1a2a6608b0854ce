-- hold.lua keeps every replica from calling an installation for a while, because GitHub said so.
-- KEYS: 1 hold
-- ARGV: 1 milliseconds, 0 when GitHub did not say  2 then: so many at first, doubling each time  3 to at most so many
--       4 a limit that was over for so many milliseconds is forgotten, and the doubling starts anew
-- Returns the milliseconds until calls may be made.
local at = now()
local till = tonumber(redis.call('HGET', KEYS[1], 'until') or '0')
local length = tonumber(ARGV[1])
if length == 0 and till <= at then -- several calls that meet one limit are one strike
  local strikes = 0
  if at - till < tonumber(ARGV[4]) then strikes = tonumber(redis.call('HGET', KEYS[1], 'strikes') or '0') end
  length = math.min(tonumber(ARGV[2]) * 2 ^ strikes, tonumber(ARGV[3]))
  redis.call('HSET', KEYS[1], 'strikes', int(strikes + 1))
end
if at + length > till then
  till = at + length
  redis.call('HSET', KEYS[1], 'until', int(till))
end
return till - at
