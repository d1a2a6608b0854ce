-- meta.lua reads a record that stands for the data it lies with, and writes it where there is none: the meta record, or
-- a partition's mark.
-- KEYS: 1 meta, or mark
-- ARGV: 1 schema  2 installation id  3 partitions  4 mode  5 id of this writing: of a new record
-- Returns schema, installation id, partitions, mode, id of its writing, counter, '1' when it was written now.
local new = '0'
if redis.call('EXISTS', KEYS[1]) == 0 then
  redis.call('HSET', KEYS[1], 'schema', ARGV[1], 'installation', ARGV[2], 'partitions', ARGV[3], 'mode', ARGV[4], 'written', ARGV[5])
  new = '1'
end
redis.call('HINCRBY', KEYS[1], 'counter', 1)
redis.call('HSET', KEYS[1], 'counted', int(now()))
local m = redis.call('HMGET', KEYS[1], 'schema', 'installation', 'partitions', 'mode', 'written', 'counter')
m[7] = new
return m
