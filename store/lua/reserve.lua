-- reserve.lua takes one of a node's slots for an epoch of a task.
-- KEYS: 1 node  2 slots
-- ARGV: 1 task  2 epoch  3 account
-- Returns 'taken' (also when it was), 'stale' when a later epoch of the task has one, 'full' when the node has no slot, is
-- not ready, is drained, or serves another account.
local account = redis.call('HGET', KEYS[1], 'account')
if redis.call('HGET', KEYS[1], 'state') ~= 'ready' or redis.call('HEXISTS', KEYS[1], 'draining') == 1 or (account ~= '0' and account ~= ARGV[3]) then return 'full' end
local had = redis.call('HGET', KEYS[2], ARGV[1])
if had and tonumber(had) > tonumber(ARGV[2]) then return 'stale' end
if not had and redis.call('HLEN', KEYS[2]) >= tonumber(redis.call('HGET', KEYS[1], 'slots')) then return 'full' end
redis.call('HSET', KEYS[1], 'account', ARGV[3])
redis.call('HSET', KEYS[2], ARGV[1], ARGV[2])
return 'taken'
