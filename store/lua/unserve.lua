-- unserve.lua forgets when accounts were last served a place in flight (admit.lua), of those that want none and were served so
-- many turns ago: they are as good as one that never was.
-- KEYS: 1 wanting  2 served
-- ARGV: 1 turns
-- Returns how many.
local turn = tonumber(redis.call('HGET', KEYS[2], 'turn') or '0')
local forgotten = 0
local all = redis.call('HGETALL', KEYS[2])
for i = 1, #all, 2 do
  if all[i] ~= 'turn' and turn - tonumber(all[i + 1]) > tonumber(ARGV[1]) and not redis.call('ZSCORE', KEYS[1], all[i]) then
    forgotten = forgotten + redis.call('HDEL', KEYS[2], all[i])
  end
end
return forgotten
