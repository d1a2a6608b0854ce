-- place.lua gives a task in placing to a node that has a slot for it (reserve.lua): it writes the command to start and
-- hands the lease to the node.
-- KEYS: 1 task  2 due  3 commands  4 owed  5 owedbody  6 owing  7 work  8 conversation  9 changed
-- ARGV: 1 id  2 epoch  3 node  4 lease, milliseconds  5 the start command's JSON  6 fields  7 installation  8 effects
--       9 operation id  10 entry
-- Returns 'placed', or 'stale' when (state, epoch) changed or it is not wanted any more.
if redis.call('HGET', KEYS[1], 'moved') == ARGV[9] then return 'placed' end
local state, epoch = redis.call('HGET', KEYS[1], 'state'), redis.call('HGET', KEYS[1], 'epoch')
if state ~= 'placing' or epoch ~= ARGV[2] then return 'stale' end -- protects: fence
if redis.call('HEXISTS', KEYS[1], 'cancel') == 1 then return 'stale' end
local at = now()
set(KEYS[1], ARGV[6])
redis.call('HINCRBY', KEYS[1], 'attempts', 1)
redis.call('HDEL', KEYS[1], 'end')
redis.call('HSET', KEYS[1], 'noted', redis.call('HGET', KEYS[1], 'last'))
redis.call('HSET', KEYS[1], 'state', 'preparing', 'node', ARGV[3], 'lease_owner', ARGV[3],
  'lease_until', int(at + tonumber(ARGV[4])), 'moved', ARGV[9], 'progressed', int(at))
redis.call('HSETNX', KEYS[1], 'at:preparing', int(at))
redis.call('ZADD', KEYS[2], int(at + tonumber(ARGV[4])), ARGV[1])
redis.call('XADD', KEYS[3], '*', 'frame', ARGV[5])
say(KEYS[8], ARGV[10], at)
owe(KEYS[4], KEYS[5], KEYS[6], KEYS[7], ARGV[7], ARGV[8], at)
changed(KEYS[9])
return 'placed'
