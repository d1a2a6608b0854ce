-- answer.lua gives a waiting task the answer to its question. Where its node lives the task runs on, and the node is told;
-- else the task is queued for another node, the first of its thread. What answered makes no task of its own, for ever.
-- KEYS: 1 task  2 due  3 work  4 conversation  5 owed  6 owedbody  7 owing  8 changed  9 commands to the task's node
--       10 answered:<id of the task that the answer would have been>  11 task:<that id>  12 spent
-- ARGV: 1 id  2 epoch, 3 node and 4 number of the question as they were read  5 the answer command's JSON
--       6 all answers so far (JSON)  7 entry  8 installation  9 effects  10 when the answer was written, milliseconds
--       11 id of the task that the answer would have been
-- Returns 'running' or 'queued' when it was given, 'again' when it had been given, to whichever question, 'task' when what
-- would answer made a task, or did either before that was forgotten, 'no' when it was written before the question was put, 'moved' when that is not what the
-- task waits for (any more).
if redis.call('EXISTS', KEYS[10]) == 1 then return 'again' end
if redis.call('EXISTS', KEYS[11]) == 1 or redis.call('SISMEMBER', KEYS[12], ARGV[11]) == 1 then return 'task' end
local node = redis.call('HGET', KEYS[1], 'node') or ''
if redis.call('HGET', KEYS[1], 'state') ~= 'waiting' or redis.call('HEXISTS', KEYS[1], 'cancel') == 1
  or redis.call('HGET', KEYS[1], 'epoch') ~= ARGV[2] or node ~= ARGV[3] or redis.call('HGET', KEYS[1], 'asked_seq') ~= ARGV[4] then
  return 'moved'
end
-- GitHub tells whole seconds: what was written in the second of the question counts as after it.
local asked = tonumber(redis.call('HGET', KEYS[1], 'asked'))
if tonumber(ARGV[10]) < asked - asked % 1000 then return 'no' end
local at = now()
local lease = tonumber(redis.call('HGET', KEYS[1], 'lease_until') or '0')
local lives = node ~= '' and lease > at and redis.call('HEXISTS', KEYS[1], 'end') == 0
redis.call('SET', KEYS[10], ARGV[1])
redis.call('HDEL', KEYS[1], 'ask', 'nag', 'expired')
redis.call('HSET', KEYS[1], 'answers', ARGV[6], 'answered:' .. ARGV[11], '1')
local to = 'running'
if lives then
  redis.call('HSET', KEYS[1], 'state', to, 'progressed', int(at))
  redis.call('ZADD', KEYS[2], int(lease), ARGV[1])
  redis.call('XADD', KEYS[9], '*', 'frame', ARGV[5])
else
  to = 'queued'
  if node ~= '' then letgo(KEYS[1], node) end
  redis.call('HSET', KEYS[1], 'state', to)
  redis.call('ZADD', KEYS[2], int(at), ARGV[1])
  wake(KEYS[3], 'task', ARGV[1])
end
say(KEYS[4], ARGV[7], at)
owe(KEYS[5], KEYS[6], KEYS[7], KEYS[3], ARGV[8], ARGV[9], at)
changed(KEYS[8])
return to
