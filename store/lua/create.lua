-- create.lua makes a task: its record, its place in the thread's queue, the conversation's entry and what is owed.
-- KEYS: 1 task  2 thread  3 due  4 work  5 conversation  6 owed  7 owedbody  8 owing  9 answered:<id>  10 spent
-- ARGV: 1 id  2 fields (JSON object of strings)  3 turn's score  4 turn's member  5 entry  6 installation  7 effects
-- Returns 1 when it was created, 0 when it was there already, or what asks for it answered a question (answer.lua), or either
-- is so long ago that it is kept no longer (prune.lua).
if redis.call('EXISTS', KEYS[1]) == 1 then return 0 end -- protects: dedupe
if redis.call('EXISTS', KEYS[9]) == 1 then return 0 end -- protects: dedupe
if redis.call('SISMEMBER', KEYS[10], ARGV[1]) == 1 then return 0 end -- protects: dedupe
local at = now()
set(KEYS[1], ARGV[2])
redis.call('HSET', KEYS[1], 'state', 'queued', 'epoch', '0', 'last', '0', 'attempts', '0',
  'member', ARGV[4], 'at:queued', int(at))
redis.call('ZADD', KEYS[2], ARGV[3], ARGV[4])
redis.call('ZADD', KEYS[3], int(at), ARGV[1])
say(KEYS[5], ARGV[5], at)
owe(KEYS[6], KEYS[7], KEYS[8], KEYS[4], ARGV[6], ARGV[7], at)
wake(KEYS[4], 'task', ARGV[1])
return 1
