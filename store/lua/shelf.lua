-- shelf.lua takes tasks whose events are to be shelved, and hides them from other processes meanwhile: one that dies leaves
-- them to come back after that time.
-- KEYS: 1 shelf
-- ARGV: 1 how many  2 hide, milliseconds
-- Returns the tasks.
local at = now()
local ids = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', int(at), 'LIMIT', 0, ARGV[1])
for _, id in ipairs(ids) do redis.call('ZADD', KEYS[1], int(at + tonumber(ARGV[2])), id) end
return ids
