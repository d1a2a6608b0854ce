-- claim.lua takes a task over for one runner: it grows the epoch, so whoever held it before writes nothing more.
-- It can be claimed when it is queued and first in its thread; when it is being placed or published and nobody's lease
-- is live; when it is with a node that ended its attempt or whose lease ran out. A queued task becomes placing, a running
-- one whose agent ended (and was not lost with its node) becomes publishing; else the state stays for the runner to decide.
-- KEYS: 1 task  2 thread  3 due  4 nodetasks of the task's node  5 starved
-- ARGV: 1 id  2 owner  3 lease, milliseconds  4 operation id  5 the node it was read with  6 retry of a queued one, ms
-- Returns 'claimed' (also when this operation had claimed it already), 'missing', 'final', 'busy', 'turn', 'moved'.
local state = redis.call('HGET', KEYS[1], 'state')
if not state then
  redis.call('ZREM', KEYS[3], ARGV[1])
  return 'missing'
end
if redis.call('HGET', KEYS[1], 'op') == ARGV[4] then
  return 'claimed'
end
if state == 'succeeded' or state == 'failed' or state == 'cancelled' then
  redis.call('ZREM', KEYS[3], ARGV[1])
  return 'final'
end
if (redis.call('HGET', KEYS[1], 'node') or '') ~= ARGV[5] then
  return 'moved'
end
local at = now()
local owner = redis.call('HGET', KEYS[1], 'lease_owner') or ''
local live = owner ~= '' and tonumber(redis.call('HGET', KEYS[1], 'lease_until') or '0') > at
local ending = redis.call('HGET', KEYS[1], 'end')
local ended = ending ~= false and ending ~= nil
local to = state
if state == 'queued' then
  local member = redis.call('HGET', KEYS[1], 'member')
  if redis.call('ZRANGE', KEYS[2], 0, 0)[1] ~= member then
    redis.call('ZADD', KEYS[3], int(at + tonumber(ARGV[6])), ARGV[1])
    return 'turn'
  end
  redis.call('ZADD', KEYS[2], -1, member)
  to = 'placing'
elseif state == 'waiting' then
  return 'busy'
elseif state == 'preparing' or state == 'running' then
  if live and not ended then return 'busy' end
  if state == 'running' and ended and cjson.decode(ending).outcome ~= 'lost' then to = 'publishing' end
  redis.call('SREM', KEYS[4], ARGV[1])
elseif live then
  return 'busy'
end
local till = at + tonumber(ARGV[3])
redis.call('HINCRBY', KEYS[1], 'epoch', 1)
redis.call('HSET', KEYS[1], 'state', to, 'lease_owner', ARGV[2], 'lease_until', int(till), 'op', ARGV[4],
  'claimed', int(at))
redis.call('HSETNX', KEYS[1], 'at:' .. to, int(at))
redis.call('ZADD', KEYS[3], int(till), ARGV[1])
redis.call('ZREM', KEYS[5], ARGV[1])
return 'claimed'
