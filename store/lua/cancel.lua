-- cancel.lua notes why a task is not wanted any more. It does not end it: the next claim does, so that a task has one
-- finaliser whatever door it ends by. What nobody is at can be claimed at once; an attempt is told to stop, and its lease is
-- renewed no longer than it may take to do so (renew.lua).
-- KEYS: 1 task  2 due  3 work  4 commands to the task's node
-- ARGV: 1 id  2 why  3 the node and 4 the epoch it was read with  5 the stop command's JSON  6 the states it may be in,
--       with a comma after each; '' for any  7 how long a node has to stop, milliseconds
-- Returns 'cancelled', 'moved' when it changed hands since it was read, 'no' when it is over, in another state, was cancelled
-- before, or does not exist.
local state = redis.call('HGET', KEYS[1], 'state')
if not state or state == 'succeeded' or state == 'failed' or state == 'cancelled' then return 'no' end
if ARGV[6] ~= '' and not string.find(ARGV[6], state .. ',', 1, true) then return 'no' end
if redis.call('HEXISTS', KEYS[1], 'cancel') == 1 then return 'no' end
if (redis.call('HGET', KEYS[1], 'node') or '') ~= ARGV[3] or redis.call('HGET', KEYS[1], 'epoch') ~= ARGV[4] then
  return 'moved'
end
local at = now()
redis.call('HSET', KEYS[1], 'cancel', ARGV[2], 'cancelled', int(at))
local working = state == 'preparing' or state == 'running' or state == 'waiting' and ARGV[3] ~= ''
if working and redis.call('HEXISTS', KEYS[1], 'end') == 0 then
  redis.call('XADD', KEYS[4], '*', 'frame', ARGV[5])
  redis.call('ZADD', KEYS[2], 'LT', int(at + tonumber(ARGV[7])), ARGV[1])
elseif state ~= 'publishing' then
  redis.call('ZADD', KEYS[2], int(at), ARGV[1])
  wake(KEYS[3], 'task', ARGV[1])
end
return 'cancelled'
