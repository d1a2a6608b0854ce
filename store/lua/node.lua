-- node.lua writes a node's record.
-- KEYS: 1 node  2 nodes  3 work  4 starved
-- ARGV: 1 name  2 fields  3 '1' to make a record where there is none, '0' to change one that is there  4 '1' when it
--       lives now
-- Returns 1 when it was written.
if redis.call('EXISTS', KEYS[1]) == tonumber(ARGV[3]) then return 0 end
set(KEYS[1], ARGV[2])
redis.call('SADD', KEYS[2], ARGV[1])
if ARGV[4] == '1' then
  redis.call('HSET', KEYS[1], 'seen', int(now()))
end
if redis.call('HGET', KEYS[1], 'state') == 'ready' then
  for _, id in ipairs(redis.call('ZRANGE', KEYS[4], 0, -1)) do wake(KEYS[3], 'task', id) end
end
return 1
