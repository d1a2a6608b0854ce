-- turn.lua makes one process the one that does a job, or lets go of it.
-- KEYS: 1 turn
-- ARGV: 1 process  2 lease, milliseconds; '' lets go  3 how long ago the job must have been finished, milliseconds
-- Returns Redis's clock, milliseconds, and 1 when it is this process's turn, or was and is over now; else 0.
local at = now()
local owner = redis.call('HGET', KEYS[1], 'owner') or ''
if ARGV[2] == '' then
  if owner ~= ARGV[1] then return { int(at), 0 } end
  redis.call('HSET', KEYS[1], 'owner', '', 'done', int(at))
  return { int(at), 1 }
end
local live = owner ~= '' and owner ~= ARGV[1] and tonumber(redis.call('HGET', KEYS[1], 'until') or '0') > at
if live or at - tonumber(redis.call('HGET', KEYS[1], 'done') or '0') < tonumber(ARGV[3]) then
  return { int(at), 0 }
end
redis.call('HSET', KEYS[1], 'owner', ARGV[1], 'until', int(at + tonumber(ARGV[2])))
return { int(at), 1 }
