-- note.lua writes a field of a task, whatever its state is. It never makes a record: one that Redis has lost is made anew by
-- what asked for it, which would take this for the task.
-- KEYS: 1 task
-- ARGV: 1 field  2 value
-- Returns 1, or 0 when the task does not exist.
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
return 1
