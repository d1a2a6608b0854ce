-- renew.lua pushes a lease on, a runner's or a node's.
-- KEYS: 1 task  2 due
-- ARGV: 1 id  2 owner  3 epoch  4 lease, milliseconds  5 how long a node has to stop, milliseconds
-- Returns 1 when it still holds, 0 when it is another's.
if redis.call('HGET', KEYS[1], 'lease_owner') ~= ARGV[2] then return 0 end
if redis.call('HGET', KEYS[1], 'epoch') ~= ARGV[3] then return 0 end -- protects: fence
if redis.call('HGET', KEYS[1], 'node') == ARGV[2] then
  alive(KEYS[1], KEYS[2], ARGV[1], tonumber(ARGV[4]), tonumber(ARGV[5]))
else -- a runner's: it decides about an attempt that is over, or publishes
  local till = int(now() + tonumber(ARGV[4]))
  redis.call('HSET', KEYS[1], 'lease_until', till)
  redis.call('ZADD', KEYS[2], till, ARGV[1])
end
return 1
