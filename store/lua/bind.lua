-- bind.lua ties a node to the key that its machine made, or recognises the key. Whoever shows another is refused, whatever
-- token it has. A machine whose key is bound has called home: its trouble is over.
-- KEYS: 1 node
-- ARGV: 1 the key's fingerprint  2 '1' when a bootstrap token came with it  3 for how long the same token may come again
--       with the same key, in ms
-- Returns 'ok', 'none' for a node that has no record, 'unbound' for one without a key when no token came, 'other' when
-- another key is bound, 'used' when the token has done its work.
if redis.call('EXISTS', KEYS[1]) == 0 then return 'none' end
local bound = redis.call('HMGET', KEYS[1], 'key', 'bound')
if not bound[1] then
  if ARGV[2] ~= '1' then return 'unbound' end
  redis.call('HSET', KEYS[1], 'key', ARGV[1], 'bound', int(now()))
  redis.call('HDEL', KEYS[1], 'trouble')
  return 'ok'
end
if bound[1] ~= ARGV[1] then return 'other' end
if ARGV[2] == '1' and now() - tonumber(bound[2]) > tonumber(ARGV[3]) then return 'used' end
return 'ok'
