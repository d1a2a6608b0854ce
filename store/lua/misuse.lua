-- misuse.lua notes that a task's token was shown where it opens nothing, for the task's page. A task that is over stays over.
-- KEYS: 1 task  2 changed
-- ARGV: 1 how: elsewhere, after_end
-- Returns 1, or 0 when there is no such task.
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
if redis.call('HINCRBY', KEYS[1], 'misused:' .. ARGV[1], 1) == 1 then changed(KEYS[2]) end
return 1
