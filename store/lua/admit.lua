-- admit.lua asks for a place among the tasks in flight, or gives one up; either way it then gives every place that is free
-- to the task whose turn it is: of the accounts that want one and are below their own limit, the one that was served
-- longest ago, and of its tasks the oldest.
-- KEYS: 1 flight: hash, task -> account  2 flights: hash, account -> how many of its tasks are in flight
--       3 wanting: sorted set of the accounts with tasks that want a place, by the turn in which they were last served
--       4 served: hash, account -> that turn, and 'turn' itself  5 the beginning of want:<account>, sorted sets of tasks by creation
-- ARGV: 1 task  2 account  3 created, milliseconds; '' to give the place up  4 limit of the account  5 limit of all
-- Returns 'in', 'out' or 'gone' (given up), how many tasks come before it, whose limit holds it up ('account', 'all' or
-- ''), then the tasks that got a place by this.
local task, account, created = ARGV[1], ARGV[2], ARGV[3]
local most, all = tonumber(ARGV[4]), tonumber(ARGV[5])

local function flying(a) return tonumber(redis.call('HGET', KEYS[2], a) or '0') end
local function want(a) return KEYS[5] .. a end

if created == '' then
  local had = redis.call('HGET', KEYS[1], task)
  if had then
    redis.call('HDEL', KEYS[1], task)
    if redis.call('HINCRBY', KEYS[2], had, -1) <= 0 then redis.call('HDEL', KEYS[2], had) end
  end
  redis.call('ZREM', want(account), task)
  if redis.call('EXISTS', want(account)) == 0 then redis.call('ZREM', KEYS[3], account) end
elseif redis.call('HEXISTS', KEYS[1], task) == 0 then
  redis.call('ZADD', want(account), 'NX', created, task)
  redis.call('ZADD', KEYS[3], 'NX', redis.call('HGET', KEYS[4], account) or '0', account)
end

local given = {}
local free = all - redis.call('HLEN', KEYS[1])
while free > 0 do
  local served
  for _, a in ipairs(redis.call('ZRANGE', KEYS[3], 0, -1)) do
    if flying(a) < most then
      served = a
      break
    end
  end
  if not served then break end
  local id = redis.call('ZPOPMIN', want(served))[1]
  if id then
    local turn = redis.call('HINCRBY', KEYS[4], 'turn', 1)
    redis.call('HSET', KEYS[1], id, served)
    redis.call('HINCRBY', KEYS[2], served, 1)
    redis.call('HSET', KEYS[4], served, turn)
    redis.call('ZADD', KEYS[3], turn, served)
    given[#given + 1] = id
    free = free - 1
  end
  if redis.call('EXISTS', want(served)) == 0 then redis.call('ZREM', KEYS[3], served) end
end

local answer = { 'gone', '0', '' }
if created ~= '' and redis.call('HEXISTS', KEYS[1], task) == 1 then
  answer = { 'in', '0', '' }
elseif created ~= '' then
  -- Accounts are served in turn: before the task come those of its own account that are older, and of each other account
  -- as many as it has turns until then. An account at its own limit holds nobody else up.
  local rank = redis.call('ZRANK', want(account), task)
  local ahead, limit = rank, 'account'
  if flying(account) < most then
    limit = 'all'
    local mine = redis.call('ZRANK', KEYS[3], account)
    for i, a in ipairs(redis.call('ZRANGE', KEYS[3], 0, -1)) do
      if a ~= account and flying(a) < most then
        local turns = rank
        if i - 1 < mine then turns = rank + 1 end
        ahead = ahead + math.min(redis.call('ZCARD', want(a)), turns)
      end
    end
  end
  answer = { 'out', int(ahead), limit }
end
for _, id in ipairs(given) do
  if id ~= task then answer[#answer + 1] = id end
end
return answer
