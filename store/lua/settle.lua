-- settle.lua closes an effect that was delivered, or puts off one that was not.
-- KEYS: 1 owed  2 owedbody
-- ARGV: 1 target  2 version that was delivered  3 '' when it is done, else milliseconds until the next try
-- Returns 1 when nothing is left for the target, 0 when it waits (put off, or a newer version came meanwhile).
if ARGV[3] ~= '' then
  redis.call('ZADD', KEYS[1], 'XX', int(now() + tonumber(ARGV[3])), ARGV[1])
  return 0
end
if redis.call('HGET', KEYS[2], 'version:' .. ARGV[1]) ~= ARGV[2] then
  redis.call('ZADD', KEYS[1], 'XX', int(now()), ARGV[1])
  return 0
end
redis.call('ZREM', KEYS[1], ARGV[1])
redis.call('HDEL', KEYS[2], 'body:' .. ARGV[1], 'version:' .. ARGV[1], 'attempts:' .. ARGV[1])
return 1
