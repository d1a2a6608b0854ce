-- take.lua takes what is due to one installation and puts each off so that nobody else takes it
-- meanwhile. A deliverer that dies leaves it to come back after that time.
-- KEYS: 1 owed  2 owedbody  3 owing
-- ARGV: 1 how many  2 put off, milliseconds  3 installation
-- Returns a flat list: target, body, version, attempts, …
local at = now()
local out = {}
for _, target in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', int(at), 'LIMIT', 0, ARGV[1])) do
  local attempts = redis.call('HINCRBY', KEYS[2], 'attempts:' .. target, 1)
  redis.call('ZADD', KEYS[1], int(at + tonumber(ARGV[2])), target)
  out[#out + 1] = target
  out[#out + 1] = redis.call('HGET', KEYS[2], 'body:' .. target)
  out[#out + 1] = redis.call('HGET', KEYS[2], 'version:' .. target)
  out[#out + 1] = tostring(attempts)
end
if redis.call('ZCARD', KEYS[1]) == 0 then redis.call('SREM', KEYS[3], ARGV[3]) end
return out
