-- branch.lua gives a branch to a task, unless another has it. There is nothing to release: whose task is over is replaced.
-- KEYS: 1 branches
-- ARGV: 1 branch  2 task  3 the holder that is known to be over, '' for none
-- Returns the task that has the branch now.
local holder = redis.call('HGET', KEYS[1], ARGV[1])
if holder and holder ~= ARGV[2] and holder ~= ARGV[3] then return holder end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
return ARGV[2]
