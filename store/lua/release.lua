-- release.lua gives back the slot that a task has taken at an epoch or before.
-- KEYS: 1 slots  2 node
-- ARGV: 1 task  2 epoch
-- Returns 1 when a slot became free by it.
local had = redis.call('HGET', KEYS[1], ARGV[1])
if not had or tonumber(had) > tonumber(ARGV[2]) then return 0 end
if redis.call('EXISTS', KEYS[2]) == 1 then redis.call('HSET', KEYS[2], 'used', int(now())) end
return redis.call('HDEL', KEYS[1], ARGV[1])
