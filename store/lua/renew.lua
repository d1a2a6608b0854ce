-- renew.lua pushes a lease on, a runner's or a node's. A node's is not pushed on beyond the time that its attempt may give
-- no sign, nor beyond the time that it has to stop one that is not wanted any more: then the attempt is taken from it though
-- it lives. One that waits for an answer need give no sign; it is due when its requester is to be reminded.
-- KEYS: 1 task  2 due
-- ARGV: 1 id  2 owner  3 epoch  4 lease, milliseconds  5 how long a node has to stop, milliseconds
-- Returns 1 when it still holds, 0 when it is another's.
if redis.call('HGET', KEYS[1], 'lease_owner') ~= ARGV[2] then return 0 end
if redis.call('HGET', KEYS[1], 'epoch') ~= ARGV[3] then return 0 end -- protects: fence
local till = now() + tonumber(ARGV[4])
if redis.call('HGET', KEYS[1], 'node') ~= ARGV[2] then -- a runner's: it decides about an attempt that is over, or publishes
  redis.call('HSET', KEYS[1], 'lease_until', int(till))
  redis.call('ZADD', KEYS[2], int(till), ARGV[1])
  return 1
end
if redis.call('HEXISTS', KEYS[1], 'end') == 1 then return 1 end -- an ended attempt waits for a runner, not for its node
local state = redis.call('HGET', KEYS[1], 'state')
if state == 'preparing' or state == 'running' or state == 'waiting' then
  local cancelled = tonumber(redis.call('HGET', KEYS[1], 'cancelled') or '')
  if cancelled then till = math.min(till, cancelled + tonumber(ARGV[5])) end
  local silence = tonumber(redis.call('HGET', KEYS[1], 'silence') or '')
  local progressed = tonumber(redis.call('HGET', KEYS[1], 'progressed') or '')
  if silence and progressed and state ~= 'waiting' then till = math.min(till, progressed + silence) end
end
redis.call('HSET', KEYS[1], 'lease_until', int(till))
if state == 'waiting' then till = math.min(till, tonumber(redis.call('HGET', KEYS[1], 'nag') or till)) end
redis.call('ZADD', KEYS[2], int(till), ARGV[1])
return 1
