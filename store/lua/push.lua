-- push.lua records what the git broker saw GitHub accept: from here on the task has a commit, whatever its agent says.
-- KEYS: 1 task  2 changed
-- ARGV: 1 epoch  2 branch  3 commit
-- Returns 1, or 0 when the epoch is stale or the branch is not the task's.
if redis.call('HGET', KEYS[1], 'epoch') ~= ARGV[1] then return 0 end -- protects: fence
if redis.call('HGET', KEYS[1], 'branch') ~= ARGV[2] then return 0 end
redis.call('HSET', KEYS[1], 'head', ARGV[3])
changed(KEYS[2])
return 1
