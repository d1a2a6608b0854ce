-- secret.lua replaces one of a project's sealed secrets, if it is still the one that the caller knows. Those that were replaced
-- long ago are forgotten by the way.
-- KEYS: 1 secrets  2 the set of projects with secrets
-- ARGV: 1 field: the secret's name, or name@<milliseconds> for one that was replaced then  2 what must be there, '' for nothing
--       3 what is to be there, '' for nothing  4 '1' to keep what was there, as replaced now  5 how many names there may be
--       6 how long one that was replaced is kept, milliseconds  7 project
-- Returns 1, 0 when something else is there, -1 when there are too many names.
local is = redis.call('HGET', KEYS[1], ARGV[1]) or ''
if is ~= ARGV[2] then return 0 end
local names = 0
for _, field in ipairs(redis.call('HKEYS', KEYS[1])) do
  local replaced = string.match(field, '@(%d+)$')
  if not replaced then
    names = names + 1
  elseif field ~= ARGV[1] and tonumber(replaced) + tonumber(ARGV[6]) < now() then
    redis.call('HDEL', KEYS[1], field)
  end
end
if is == '' and ARGV[3] ~= '' and names >= tonumber(ARGV[5]) then return -1 end
if is ~= '' and ARGV[4] == '1' then
  local at = now()
  while redis.call('HSETNX', KEYS[1], ARGV[1] .. '@' .. int(at), is) == 0 do at = at + 1 end
end
if ARGV[3] == '' then redis.call('HDEL', KEYS[1], ARGV[1]) else redis.call('HSET', KEYS[1], ARGV[1], ARGV[3]) end
if redis.call('EXISTS', KEYS[1]) == 1 then
  redis.call('SADD', KEYS[2], ARGV[7])
else
  redis.call('SREM', KEYS[2], ARGV[7])
end
return 1
