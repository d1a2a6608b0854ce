-- rouse.lua wakes tasks that wait in placing for a node, the longest waiting first.
-- KEYS: 1 starved  2 work
-- ARGV: 1 how many, 0 for all
-- Returns how many.
local ids = redis.call('ZRANGE', KEYS[1], 0, tonumber(ARGV[1]) - 1)
for _, id in ipairs(ids) do wake(KEYS[2], 'task', id) end
return #ids
