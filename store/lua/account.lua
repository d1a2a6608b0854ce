-- account.lua replaces an account's record, if it is still the one that the caller knows.
-- KEYS: 1 account  2 accounts
-- ARGV: 1 id  2 the JSON that must be there, '' for none  3 the JSON that is to be there, '' for none
-- Returns 1, or 0 when something else is there.
local is = redis.call('GET', KEYS[1]) or ''
if is ~= ARGV[2] then return 0 end
if ARGV[3] == '' then
  redis.call('DEL', KEYS[1])
  redis.call('SREM', KEYS[2], ARGV[1])
else
  redis.call('SET', KEYS[1], ARGV[3])
  redis.call('SADD', KEYS[2], ARGV[1])
end
return 1
