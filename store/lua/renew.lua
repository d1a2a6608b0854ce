-- renew.lua pushes a lease on.
-- KEYS: 1 task  2 due
-- ARGV: 1 id  2 owner  3 epoch  4 lease, milliseconds
-- Returns 1 when it still holds, 0 when it is another's.
if redis.call('HGET', KEYS[1], 'lease_owner') ~= ARGV[2] then return 0 end
if redis.call('HGET', KEYS[1], 'epoch') ~= ARGV[3] then return 0 end
if redis.call('HEXISTS', KEYS[1], 'end') == 1 then return 1 end -- an ended attempt waits for a runner, not for its node
local till = now() + tonumber(ARGV[4])
redis.call('HSET', KEYS[1], 'lease_until', int(till))
redis.call('ZADD', KEYS[2], int(till), ARGV[1])
return 1
