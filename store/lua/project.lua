-- project.lua writes a project's record, or removes it, and keeps the sets that name it in step: a project is in the set of
-- one installation, the one that its record names.
-- KEYS: 1 project  2 projects
-- ARGV: 1 id  2 installation  3 the record's JSON; '' removes it, unless it is another installation's by now
--       4 what the names of this partition's sets of an installation's projects begin with
-- Returns 1, or 0 when it was not removed for that.
local before = redis.call('GET', KEYS[1])
local of = before and int(cjson.decode(before).installation) or ARGV[2]
if ARGV[3] == '' then
  redis.call('SREM', ARGV[4] .. ARGV[2], ARGV[1])
  if of ~= ARGV[2] then return 0 end
  redis.call('DEL', KEYS[1])
  redis.call('SREM', KEYS[2], ARGV[1])
  return 1
end
if of ~= ARGV[2] then redis.call('SREM', ARGV[4] .. of, ARGV[1]) end
redis.call('SET', KEYS[1], ARGV[3])
redis.call('SADD', KEYS[2], ARGV[1])
redis.call('SADD', ARGV[4] .. ARGV[2], ARGV[1])
return 1
