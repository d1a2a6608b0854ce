-- push.lua records a push: that the git broker is about to hand it to GitHub, and then what GitHub has on the branch. From
-- there on the task has a commit, whatever its agent says. Of one that was begun only, GitHub knows what became of it.
-- KEYS: 1 task  2 changed
-- ARGV: 1 epoch  2 branch  3 commit  4 '1' when GitHub has it
-- Returns 1, or 0 when the epoch is stale or the branch is not the task's.
if redis.call('HGET', KEYS[1], 'epoch') ~= ARGV[1] then return 0 end -- protects: fence
if redis.call('HGET', KEYS[1], 'branch') ~= ARGV[2] then return 0 end
if ARGV[4] ~= '1' then
  redis.call('HSET', KEYS[1], 'pushing', ARGV[3])
  return 1
end
redis.call('HSET', KEYS[1], 'head', ARGV[3])
redis.call('HDEL', KEYS[1], 'pushing')
changed(KEYS[2])
return 1
