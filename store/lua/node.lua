-- node.lua writes a node's record. A node has one link, the newest that dialled, whichever process holds it: what comes over
-- an older one writes nothing. One that is being let go stays so.
-- KEYS: 1 node  2 nodes
-- ARGV: 1 name  2 fields  3 '1' to make a record where there is none, '0' to change one that is there  4 '1' when it
--       lives now  5 the link's epoch, 'new' for a link that comes up, '' where no link has to do with it
-- Returns {what, the link's epoch}; what is 0 when it was not written for the record's sake, 1 when it was, 2 when tasks that
-- wait may be placed on it now and could not before, 3 when the link is not the newest.
local link = redis.call('HGET', KEYS[1], 'link') or '0'
if redis.call('EXISTS', KEYS[1]) == tonumber(ARGV[3]) then return { 0, link } end
if ARGV[5] == 'new' then
  link = tostring(redis.call('HINCRBY', KEYS[1], 'link', 1))
elseif ARGV[5] ~= '' and ARGV[5] ~= link then
  return { 3, link }
end
local before = redis.call('HMGET', KEYS[1], 'state', 'slots')
set(KEYS[1], ARGV[2])
if ARGV[3] == '1' then redis.call('HSET', KEYS[1], 'made', int(now())) end
if before[1] == 'going' then redis.call('HSET', KEYS[1], 'state', 'going') end
redis.call('SADD', KEYS[2], ARGV[1])
if ARGV[4] == '1' then
  redis.call('HSET', KEYS[1], 'seen', int(now()))
end
local after = redis.call('HMGET', KEYS[1], 'state', 'slots')
if after[1] == 'ready' and (before[1] ~= 'ready' or before[2] ~= after[2]) then return { 2, link } end
return { 1, link }
