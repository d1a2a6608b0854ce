-- place.lua gives a task in placing to a node: it takes one of the node's slots, writes the command to start, and hands
-- the lease to the node.
-- KEYS: 1 task  2 due  3 node  4 nodetasks  5 commands  6 owed  7 owedbody  8 owing  9 work  10 conversation
-- ARGV: 1 id  2 epoch  3 node  4 lease, milliseconds  5 the start command's JSON  6 fields  7 account  8 installation
--       9 effects  10 operation id  11 entry
-- Returns 'placed', 'stale' when (state, epoch) changed, 'full' when the node has no slot, is not ready, or serves
-- another account.
if redis.call('HGET', KEYS[1], 'moved') == ARGV[10] then return 'placed' end
if redis.call('HGET', KEYS[1], 'state') ~= 'placing' or redis.call('HGET', KEYS[1], 'epoch') ~= ARGV[2] then
  return 'stale'
end
local account = redis.call('HGET', KEYS[3], 'account')
if redis.call('HGET', KEYS[3], 'state') ~= 'ready' or (account ~= '0' and account ~= ARGV[7])
  or redis.call('SCARD', KEYS[4]) >= tonumber(redis.call('HGET', KEYS[3], 'slots')) then
  return 'full'
end
local at = now()
redis.call('HSET', KEYS[3], 'account', ARGV[7])
redis.call('SADD', KEYS[4], ARGV[1])
set(KEYS[1], ARGV[6])
redis.call('HINCRBY', KEYS[1], 'attempts', 1)
redis.call('HDEL', KEYS[1], 'end')
redis.call('HSET', KEYS[1], 'state', 'preparing', 'node', ARGV[3], 'lease_owner', ARGV[3],
  'lease_until', int(at + tonumber(ARGV[4])), 'moved', ARGV[10])
redis.call('HSETNX', KEYS[1], 'at:preparing', int(at))
redis.call('ZADD', KEYS[2], int(at + tonumber(ARGV[4])), ARGV[1])
redis.call('XADD', KEYS[5], '*', 'frame', ARGV[5])
say(KEYS[10], ARGV[11], at)
owe(KEYS[6], KEYS[7], KEYS[8], KEYS[9], ARGV[8], ARGV[9], at)
return 'placed'
