-- tend makes one process the one that sees to a node's machine, for a while, or lets go of it.
-- KEYS: 1 node
-- ARGV: 1 process  2 lease, milliseconds; '' lets go
-- Returns 1 when it is this process's, 0 when it is another's or there is no record of the node.
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
local tended = redis.call('HMGET', KEYS[1], 'tender', 'tended')
if tended[1] and tended[1] ~= ARGV[1] and tonumber(tended[2]) > now() then return 0 end
if ARGV[2] == '' then
  redis.call('HDEL', KEYS[1], 'tender', 'tended')
else
  redis.call('HSET', KEYS[1], 'tender', ARGV[1], 'tended', int(now() + tonumber(ARGV[2])))
end
return 1
