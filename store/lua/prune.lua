-- prune.lua takes a task that is over out of Redis, with its events, the branch that it held, and what its questions were
-- answered with. Of each request the ID stays, so that none is ever taken for a new one.
-- KEYS: 1 task  2 events  3 changed  4 ended  5 shelf  6 spent  7 branches of its project
-- ARGV: 1 id  2 what the names of this partition's answered: keys begin with
-- Returns 1, or 0 when there is no such task, or it is not over.
local state = redis.call('HGET', KEYS[1], 'state')
redis.call('ZREM', KEYS[4], ARGV[1])
if state ~= 'succeeded' and state ~= 'failed' and state ~= 'cancelled' then return 0 end
local branch = redis.call('HGET', KEYS[1], 'branch')
if branch and redis.call('HGET', KEYS[7], branch) == ARGV[1] then redis.call('HDEL', KEYS[7], branch) end
for _, field in ipairs(redis.call('HKEYS', KEYS[1])) do
  local instead = string.match(field, '^answered:(.+)$')
  if instead then
    redis.call('DEL', ARGV[2] .. instead)
    redis.call('SADD', KEYS[6], instead)
  end
end
redis.call('SADD', KEYS[6], ARGV[1])
redis.call('DEL', KEYS[1], KEYS[2], KEYS[3])
redis.call('ZREM', KEYS[5], ARGV[1])
return 1
