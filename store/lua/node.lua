-- node.lua writes a node's record.
-- KEYS: 1 node  2 nodes  3 work  4 starved
-- ARGV: 1 name  2 fields  3 '1' to write only when there is no record yet  4 '1' when it lives now
-- Returns 1 when it was written.
if ARGV[3] == '1' and redis.call('EXISTS', KEYS[1]) == 1 then return 0 end
set(KEYS[1], ARGV[2])
redis.call('SADD', KEYS[2], ARGV[1])
if ARGV[4] == '1' then
  redis.call('HSET', KEYS[1], 'seen', int(now()))
end
if redis.call('HGET', KEYS[1], 'state') == 'ready' then
  for _, id in ipairs(redis.call('ZRANGE', KEYS[4], 0, -1)) do wake(KEYS[3], 'task', id) end
end
return 1
