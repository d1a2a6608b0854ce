-- ask.lua has a task wait for the answer to a question of its agent's. It may be run again for the same question.
-- KEYS: 1 task  2 due  3 work  4 conversation  5 owed  6 owedbody  7 owing  8 changed
-- ARGV: 1 id  2 epoch  3 number of the question's event  4 question (JSON)  5 entry  6 installation  7 effects
--       8 milliseconds from now to the first reminder
-- Returns 1, also when the task does not wait by it: it is not wanted any more, or the question was put before. 0 when the
-- epoch is stale.
if redis.call('HGET', KEYS[1], 'epoch') ~= ARGV[2] then return 0 end -- protects: fence
if tonumber(redis.call('HGET', KEYS[1], 'asked_seq') or '0') >= tonumber(ARGV[3]) then return 1 end
local state = redis.call('HGET', KEYS[1], 'state')
if state ~= 'preparing' and state ~= 'running' and state ~= 'waiting' then return 1 end
if redis.call('HEXISTS', KEYS[1], 'cancel') == 1 or redis.call('HEXISTS', KEYS[1], 'end') == 1 then return 1 end
local at = now()
local nag = int(at + tonumber(ARGV[8]))
redis.call('HSET', KEYS[1], 'state', 'waiting', 'ask', ARGV[4], 'asked_seq', ARGV[3], 'asked', int(at), 'reminded', '0', 'nag', nag)
redis.call('HSETNX', KEYS[1], 'at:running', int(at)) -- where the agent's first event was its question
redis.call('HSETNX', KEYS[1], 'at:waiting', int(at))
redis.call('ZADD', KEYS[2], 'LT', nag, ARGV[1])
say(KEYS[4], ARGV[5], at)
owe(KEYS[5], KEYS[6], KEYS[7], KEYS[3], ARGV[6], ARGV[7], at)
changed(KEYS[8])
return 1
