-- shelve.lua notes that a run of a task's events lies in the blob store, and takes them out of the stream. It may be run again.
-- KEYS: 1 task  2 events  3 shelf
-- ARGV: 1 id  2 number of the first  3 number of the last, one less than the first for none  4 '1' when the task's shelving is done
-- Returns the number up to which events are shelved.
local shelved = tonumber(redis.call('HGET', KEYS[1], 'shelved') or '0')
local to = tonumber(ARGV[3])
if shelved == tonumber(ARGV[2]) - 1 and to > shelved then
  shelved = to
  redis.call('HSET', KEYS[1], 'shelved', int(shelved))
end
redis.call('XTRIM', KEYS[2], 'MINID', int(shelved + 1) .. '-0')
if ARGV[4] == '1' then redis.call('ZREM', KEYS[3], ARGV[1]) end
return shelved
