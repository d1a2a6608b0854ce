-- settle.lua lets an effect go that was taken, or keeps it.
-- KEYS: 1 owed  2 owedbody  3 owing
-- ARGV: 1 target  2 version that was taken  3 the taking's operation id
--       4 'done': it was delivered. Nothing newer is told of its target for a while (5, which may be 0), unless it is the
--               task's last word
--         'later': it was not, and comes again after a while (5)
--         'keep': it is on its way, and stays hidden for a while (5) from now
--         'back': it was not even tried, and is due as before
--       5 milliseconds  6 installation
-- Returns 1, or 0 when it was not the caller's any more: somebody else has taken it since, or delivered it.
local target = ARGV[1]
local version = redis.call('HGET', KEYS[2], 'version:' .. target)
if not version or redis.call('HGET', KEYS[2], 'hold:' .. target) ~= ARGV[3] then return 0 end
local after = tonumber(ARGV[5])
if ARGV[4] == 'keep' then
  redis.call('ZADD', KEYS[1], 'XX', int(now() + after), target)
  return 1
end
redis.call('HDEL', KEYS[2], 'hold:' .. target, 'take:' .. ARGV[3])
if ARGV[4] == 'later' then
  redis.call('ZADD', KEYS[1], 'XX', int(now() + after), target)
elseif ARGV[4] == 'back' then
  if version == ARGV[2] then redis.call('HINCRBY', KEYS[2], 'attempts:' .. target, -1) end
  redis.call('ZADD', KEYS[1], 'XX', redis.call('HGET', KEYS[2], 'since:' .. target), target)
elseif version ~= ARGV[2] and redis.call('HEXISTS', KEYS[2], 'final:' .. target) == 1 then
  redis.call('ZADD', KEYS[1], 'XX', int(now()), target)
elseif version ~= ARGV[2] or after > 0 then
  redis.call('HDEL', KEYS[2], 'attempts:' .. target)
  redis.call('HSET', KEYS[2], 'quiet:' .. target, ARGV[2])
  redis.call('ZADD', KEYS[1], 'XX', int(now() + after), target)
else
  forget(KEYS[1], KEYS[2], KEYS[3], ARGV[6], target)
end
return 1
