-- accept.lua records a delivery from GitHub once.
-- KEYS: 1 seen:<delivery>  2 intake
-- ARGV: 1 delivery id  2 event  3 body  4 how long to remember the id, milliseconds
-- Returns 1 when it is new, 0 when it was accepted before.
if not redis.call('SET', KEYS[1], '1', 'NX', 'PX', ARGV[4]) then return 0 end -- protects: dedupe
redis.call('XADD', KEYS[2], '*', 'id', ARGV[1], 'event', ARGV[2], 'body', ARGV[3])
return 1
