-- progress.lua notes what a node's events mean for the task: that the agent has started, that it has said something,
-- that the attempt has ended. It may be run again for the same events.
-- KEYS: 1 task  2 due  3 work  4 owed  5 owedbody  6 owing  7 changed
-- ARGV: 1 id  2 epoch  3 '1' when the agent has started  4 '1' when the agent has said something  5 end's JSON or ''
--       6 installation  7 effects owed when it starts to run  8 number of the last of the events
-- Returns 1, or 0 when the epoch is stale.
if redis.call('HGET', KEYS[1], 'epoch') ~= ARGV[2] then return 0 end -- protects: fence
local at = now()
local news = false
if ARGV[3] == '1' and redis.call('HGET', KEYS[1], 'state') == 'preparing' then
  redis.call('HSET', KEYS[1], 'state', 'running')
  redis.call('HSETNX', KEYS[1], 'at:running', int(at))
  owe(KEYS[4], KEYS[5], KEYS[6], KEYS[3], ARGV[6], ARGV[7], at)
  news = true
end
if ARGV[4] == '1' and redis.call('HSETNX', KEYS[1], 'first_event', int(at)) == 1 then news = true end
if ARGV[5] ~= '' and redis.call('HSETNX', KEYS[1], 'end', ARGV[5]) == 1 then
  redis.call('HSET', KEYS[1], 'ended', int(at))
  if redis.call('HGET', KEYS[1], 'state') == 'waiting' and redis.call('HEXISTS', KEYS[1], 'cancel') == 0 and cjson.decode(ARGV[5]).outcome ~= 'lost' then
    -- The agent asks no more. A question whose node is lost stands.
    redis.call('HSET', KEYS[1], 'state', 'running')
    redis.call('HDEL', KEYS[1], 'ask', 'nag')
  end
  redis.call('ZADD', KEYS[2], int(at), ARGV[1])
  wake(KEYS[3], 'task', ARGV[1])
  news = true
end
if tonumber(ARGV[8]) > tonumber(redis.call('HGET', KEYS[1], 'noted') or '0') then redis.call('HSET', KEYS[1], 'noted', ARGV[8]) end
if news then changed(KEYS[7]) end
return 1
