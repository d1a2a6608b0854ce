-- unpay.lua takes a machine that is gone out of its account's fleet, and gives back what was paid ahead and never begun: to
-- the days that it was paid from, the last first.
-- KEYS: 1 fleet  2 spend  3 fleets  4 gone
-- ARGV: 1 account  2 node  3 how many of its hours had begun  4 for how long its name is remembered, milliseconds
-- Returns what was given back, 0 too when the machine is not in the fleet.
local text = redis.call('HGET', KEYS[1], ARGV[2])
if not text then return '0' end
local entry = cjson.decode(text)
local excess = entry.hours - tonumber(ARGV[3])
local back = 0
for i = #entry.paid, 1, -1 do
  local one = entry.paid[i]
  local hours = math.max(0, math.min(one.hours, excess))
  if hours > 0 then
    redis.call('HINCRBY', KEYS[2], one.day, int(0 - hours * one.price))
    redis.call('HINCRBY', KEYS[2], one.month, int(0 - hours * one.price))
    back = back + hours * one.price
  end
  excess = excess - hours
end
redis.call('HDEL', KEYS[1], ARGV[2])
redis.call('ZADD', KEYS[4], int(now()), ARGV[2])
redis.call('ZREMRANGEBYSCORE', KEYS[4], '-inf', '(' .. int(now() - tonumber(ARGV[4])))
redis.call('PEXPIRE', KEYS[4], ARGV[4])
if redis.call('EXISTS', KEYS[1]) == 0 then redis.call('SREM', KEYS[3], ARGV[1]) end
return int(back)
