-- take.lua takes the most urgent effect that is due to one installation, of equals the one due first, and hides it so
-- that nobody else takes it meanwhile. A deliverer that dies leaves it to come back after that time. What was quiet and
-- has nothing newer to tell is forgotten on the way.
-- KEYS: 1 owed  2 owedbody  3 owing
-- ARGV: 1 hide, milliseconds  2 installation  3 urgency of each kind (JSON object; lower goes first)
--       4 operation id, which names the taking
-- Returns target, body, version, attempts; nothing when nothing is due.
local function taken(target)
  return { target, redis.call('HGET', KEYS[2], 'body:' .. target), redis.call('HGET', KEYS[2], 'version:' .. target),
    redis.call('HGET', KEYS[2], 'attempts:' .. target) or '1' }
end

local before = redis.call('HGET', KEYS[2], 'take:' .. ARGV[4])
if before then return taken(before) end -- the reply to this operation was lost

local at = now()
local urgencies = cjson.decode(ARGV[3])
local best, bestUrgency, bestDue
local due = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', int(at), 'WITHSCORES')
for i = 1, #due, 2 do
  local target = due[i]
  local quiet = redis.call('HGET', KEYS[2], 'quiet:' .. target)
  if quiet and quiet == redis.call('HGET', KEYS[2], 'version:' .. target) then
    forget(KEYS[1], KEYS[2], KEYS[3], ARGV[2], target)
  else
    local urgency = urgencies[string.match(target, '^[^:]*')] or 99
    if not best or urgency < bestUrgency then
      best, bestUrgency, bestDue = target, urgency, due[i + 1]
    end
  end
end
if redis.call('ZCARD', KEYS[1]) == 0 then redis.call('SREM', KEYS[3], ARGV[2]) end
if not best then return {} end
local last = redis.call('HGET', KEYS[2], 'hold:' .. best)
if last then redis.call('HDEL', KEYS[2], 'take:' .. last) end
redis.call('HINCRBY', KEYS[2], 'attempts:' .. best, 1)
redis.call('HDEL', KEYS[2], 'quiet:' .. best)
redis.call('HSET', KEYS[2], 'hold:' .. best, ARGV[4], 'take:' .. ARGV[4], best, 'since:' .. best, bestDue)
redis.call('ZADD', KEYS[1], int(at + tonumber(ARGV[1])), best)
return taken(best)
