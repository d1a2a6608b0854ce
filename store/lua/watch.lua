-- watch.lua looks whether a record that stands for the data it lies with is there, and has its counter grow from time to
-- time.
-- KEYS: 1 meta, or mark
-- ARGV: 1 how often the counter grows, milliseconds
-- Returns installation id, id of its writing, counter, and, of meta, the newest loss and the newest that was made up for
-- (loss.lua); nothing when there is no record.
local m = redis.call('HMGET', KEYS[1], 'installation', 'written', 'counter', 'counted', 'loss', 'recovered')
if not m[1] then return {} end
local at = now()
if at - tonumber(m[4] or '0') >= tonumber(ARGV[1]) then
  m[3] = int(redis.call('HINCRBY', KEYS[1], 'counter', 1))
  redis.call('HSET', KEYS[1], 'counted', int(at))
end
return { m[1], m[2], m[3], m[5] or '0', m[6] or '0' }
