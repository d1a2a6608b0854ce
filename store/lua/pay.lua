-- pay.lua pays hours of a machine ahead: of a new one, which it enters into its account's fleet, or of one that is there.
-- Hours are counted from the machine's creation, so that a repeated call spends once.
-- KEYS: 1 fleet  2 spend  3 fleets
-- ARGV: 1 account  2 node  3 '1' for a new machine  4 how many hours in all  5 the price of one  6 the day  7 the month
--       8 how many machines there may be  9 the day's budget  10 the month's, -1 for none
--       11 for how long what was spent is kept, milliseconds
-- Returns 'ok', 'machines', 'day' or 'month' for what does not allow it, 'gone' for a machine that is not in the fleet.
local text = redis.call('HGET', KEYS[1], ARGV[2])
local entry = { hours = 0, paid = {} }
if text then
  entry = cjson.decode(text)
elseif ARGV[3] ~= '1' then
  return 'gone'
elseif redis.call('HLEN', KEYS[1]) >= tonumber(ARGV[8]) then
  return 'machines'
end
local more = tonumber(ARGV[4]) - entry.hours
if text and more <= 0 then return 'ok' end
local sum = more * tonumber(ARGV[5])
for i, name in ipairs({ 'day', 'month' }) do
  local budget = tonumber(ARGV[8 + i])
  local spent = tonumber(redis.call('HGET', KEYS[2], ARGV[5 + i]) or '0')
  if budget >= 0 and sum > 0 and spent + sum > budget then return name end
end
redis.call('HINCRBY', KEYS[2], ARGV[6], int(sum))
redis.call('HINCRBY', KEYS[2], ARGV[7], int(sum))
redis.call('PEXPIRE', KEYS[2], ARGV[11])
entry.hours = entry.hours + more
-- A machine that is kept for months has an entry for a day, not for an hour.
local last = entry.paid[#entry.paid]
if last and last.day == ARGV[6] and last.price == tonumber(ARGV[5]) then
  last.hours = last.hours + more
else
  entry.paid[#entry.paid + 1] = { hours = more, price = tonumber(ARGV[5]), day = ARGV[6], month = ARGV[7] }
end
redis.call('HSET', KEYS[1], ARGV[2], cjson.encode(entry))
redis.call('SADD', KEYS[3], ARGV[1])
return 'ok'
