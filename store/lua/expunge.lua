-- expunge removes the record of a node that was let go.
-- KEYS: 1 node  2 slots  3 nodes
-- ARGV: 1 name
-- Returns 1 when it is removed, or was; 0 for a node that does not go.
if redis.call('EXISTS', KEYS[1]) == 1 and redis.call('HGET', KEYS[1], 'state') ~= 'going' then return 0 end
redis.call('DEL', KEYS[1], KEYS[2])
redis.call('SREM', KEYS[3], ARGV[1])
return 1
