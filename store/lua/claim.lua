-- claim.lua takes a task over for one runner: it grows the epoch, so whoever held it before writes nothing more.
-- It can be claimed when it is queued and first in its thread; when it is being placed or published and nobody's lease
-- is live; when it is with a node that ended its attempt or whose lease ran out. A queued task becomes placing, a running
-- one whose agent ended (and was not lost with its node) becomes publishing; else the state stays for the runner to decide.
-- One that is not wanted any more (cancel.lua) is claimed out of its turn, and from a runner that looks for a node.
-- KEYS: 1 task  2 thread  3 due  4 starved  5 changed
-- ARGV: 1 id  2 owner  3 lease, milliseconds  4 operation id  5 retry of a queued one, ms
-- Returns 'claimed' (also when this operation had claimed it already), 'missing' (Redis has lost it), 'final', 'busy', 'turn', 'waiting' (for an
-- answer: see wait.lua).
local state = redis.call('HGET', KEYS[1], 'state')
if not state then
  redis.call('ZREM', KEYS[3], ARGV[1])
  redis.call('ZREM', KEYS[4], ARGV[1])
  return 'missing'
end
if redis.call('HGET', KEYS[1], 'op') == ARGV[4] then
  return 'claimed'
end
if state == 'succeeded' or state == 'failed' or state == 'cancelled' then
  redis.call('ZREM', KEYS[3], ARGV[1])
  return 'final'
end
local at = now()
local owner = redis.call('HGET', KEYS[1], 'lease_owner') or ''
local live = false
live = owner ~= '' and tonumber(redis.call('HGET', KEYS[1], 'lease_until') or '0') > at -- protects: lease
local ending = redis.call('HGET', KEYS[1], 'end')
local ended = ending ~= false and ending ~= nil
local unwanted = redis.call('HEXISTS', KEYS[1], 'cancel') == 1
local to = state
if state == 'queued' and not unwanted then
  local member = redis.call('HGET', KEYS[1], 'member')
  if redis.call('ZRANGE', KEYS[2], 0, 0)[1] ~= member then
    redis.call('ZADD', KEYS[3], int(at + tonumber(ARGV[5])), ARGV[1])
    return 'turn'
  end
  redis.call('ZADD', KEYS[2], -1, member)
  to = 'placing'
elseif state == 'waiting' and not unwanted then
  return 'waiting'
elseif state == 'preparing' or state == 'running' or state == 'waiting' then
  -- A node's lease is over when its attempt is; a runner's, who decides about that, is not.
  if live and not (ended and owner == redis.call('HGET', KEYS[1], 'node')) then return 'busy' end
  if state == 'running' and ended and cjson.decode(ending).outcome ~= 'lost' then to = 'publishing' end
elseif live and not (unwanted and state == 'placing') then
  return 'busy'
end
local till = at + tonumber(ARGV[3])
redis.call('HINCRBY', KEYS[1], 'epoch', 1)
redis.call('HSET', KEYS[1], 'state', to, 'lease_owner', ARGV[2], 'lease_until', int(till), 'op', ARGV[4],
  'claimed', int(at))
redis.call('HSETNX', KEYS[1], 'at:' .. to, int(at))
if state == 'queued' then redis.call('HSET', KEYS[1], 'sought', int(at)) end
redis.call('ZADD', KEYS[3], int(till), ARGV[1])
redis.call('ZREM', KEYS[4], ARGV[1])
changed(KEYS[5])
return 'claimed'
