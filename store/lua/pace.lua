-- pace.lua asks for one content-creating call of an installation's: fewer than GitHub's limits in every minute and every
-- hour, and none before the time that GitHub has said.
-- KEYS: 1 pace  2 hold
-- ARGV: 1 operation id  2 calls in a minute  3 calls in an hour
-- Returns 0 when it is granted, else the milliseconds until it may be asked for again.
local minute, hour = 60 * 1000, 60 * 60 * 1000
local at = now()
if redis.call('ZSCORE', KEYS[1], ARGV[1]) then return 0 end
local till = tonumber(redis.call('HGET', KEYS[2], 'until') or '0')
if till > at then return till - at end
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', int(at - hour))
local wait = 0
for _, window in ipairs({ { minute, tonumber(ARGV[2]) }, { hour, tonumber(ARGV[3]) } }) do
  local length, most = window[1], window[2]
  if redis.call('ZCOUNT', KEYS[1], '(' .. int(at - length), '+inf') >= most then
    -- When this one has left the window there is room for one more.
    local leaves = redis.call('ZREVRANGE', KEYS[1], most - 1, most - 1, 'WITHSCORES')[2]
    wait = math.max(wait, tonumber(leaves) + length - at)
  end
end
if wait == 0 then
  redis.call('ZADD', KEYS[1], int(at), ARGV[1])
  redis.call('PEXPIRE', KEYS[1], int(hour)) -- nothing in it counts after that
end
return wait
