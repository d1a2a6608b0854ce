-- hear.lua adds what an event says of a comment to what is known of it. Only an edit's words are kept: a creation brings
-- its own along whenever it comes. Deleted is for ever, and a deletion of what was never heard to ask leaves no trace.
-- KEYS: 1 comment
-- ARGV: 1 '1' for a creation  2 '1' for a deletion  3 '1' for an edit  4 its words  5 when they were written, milliseconds
--       6 how many commands this version holds  7 how long to keep it, milliseconds
-- Returns created, deleted, the newest edit's words (nil where there is none), when those were written, the most commands
-- of any version.
if ARGV[2] == '1' and ARGV[6] == '0' and redis.call('EXISTS', KEYS[1]) == 0 then
  return { '0', '1', false, '0', '0' }
end
if ARGV[1] == '1' then redis.call('HSET', KEYS[1], 'created', '1') end
if ARGV[2] == '1' then redis.call('HSET', KEYS[1], 'deleted', '1') end
if ARGV[3] == '1' and tonumber(ARGV[5]) >= tonumber(redis.call('HGET', KEYS[1], 'at') or '0') then
  redis.call('HSET', KEYS[1], 'words', ARGV[4], 'at', ARGV[5])
end
if tonumber(ARGV[6]) > tonumber(redis.call('HGET', KEYS[1], 'commands') or '0') then
  redis.call('HSET', KEYS[1], 'commands', ARGV[6])
end
redis.call('PEXPIRE', KEYS[1], ARGV[7])
return {
  redis.call('HGET', KEYS[1], 'created') or '0', redis.call('HGET', KEYS[1], 'deleted') or '0',
  redis.call('HGET', KEYS[1], 'words'), redis.call('HGET', KEYS[1], 'at') or '0',
  redis.call('HGET', KEYS[1], 'commands') or '0',
}
