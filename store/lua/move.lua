-- move.lua takes a task from one state to another, or writes fields of it in place, with the conversation's entry and
-- the effects owed. The caller has checked the move against the table; the script checks that nothing changed since.
-- KEYS: 1 task  2 thread  3 due  4 work  5 conversation  6 owed  7 owedbody  8 owing  9 commands to the task's node
--       10 starved  11 changed  12 shelf  13 ended
-- ARGV: 1 id  2 from  3 to  4 epoch  5 fields  6 entry  7 installation  8 effects  9 operation id
--       10 milliseconds from now until it is due, '' to leave that  11 '1' to let go of the lease in placing until a
--       slot is free
--       12 the drop command's JSON for its node, '' for none
--       13 milliseconds from its end until its events are shelved, '' for never
-- Returns 1, or 0 when (state, epoch) is not what the caller saw.
local state = redis.call('HGET', KEYS[1], 'state')
local epoch = redis.call('HGET', KEYS[1], 'epoch')
if redis.call('HGET', KEYS[1], 'moved') == ARGV[9] then return 1 end
if state ~= ARGV[2] or epoch ~= ARGV[4] then return 0 end -- protects: fence
local at = now()
set(KEYS[1], ARGV[5])
redis.call('HSET', KEYS[1], 'state', ARGV[3], 'moved', ARGV[9])
redis.call('HSETNX', KEYS[1], 'at:' .. ARGV[3], int(at))
if ARGV[10] ~= '' then
  redis.call('ZADD', KEYS[3], int(at + tonumber(ARGV[10])), ARGV[1])
end
if ARGV[11] == '1' then
  redis.call('HSET', KEYS[1], 'lease_owner', '')
  redis.call('ZADD', KEYS[10], 'NX', int(at), ARGV[1])
end
if ARGV[3] == 'succeeded' or ARGV[3] == 'failed' or ARGV[3] == 'cancelled' then
  redis.call('HSET', KEYS[1], 'lease_owner', '')
  redis.call('ZREM', KEYS[3], ARGV[1])
  redis.call('ZREM', KEYS[10], ARGV[1])
  redis.call('ZREM', KEYS[2], redis.call('HGET', KEYS[1], 'member'))
  redis.call('ZADD', KEYS[13], int(at), ARGV[1])
  local nextMember = redis.call('ZRANGE', KEYS[2], 0, 0)[1]
  if nextMember then
    wake(KEYS[4], 'task', string.sub(nextMember, string.find(nextMember, ':', 1, true) + 1))
  end
  if ARGV[12] ~= '' then
    redis.call('XADD', KEYS[9], '*', 'frame', ARGV[12])
  end
  if ARGV[13] ~= '' then redis.call('ZADD', KEYS[12], int(at + tonumber(ARGV[13])), ARGV[1]) end
end
say(KEYS[5], ARGV[6], at)
local final = ARGV[3] == 'succeeded' or ARGV[3] == 'failed' or ARGV[3] == 'cancelled'
owe(KEYS[6], KEYS[7], KEYS[8], KEYS[4], ARGV[7], ARGV[8], at, final)
changed(KEYS[11])
return 1
