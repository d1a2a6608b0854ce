-- amend.lua replaces the request of a task that is still queued by newer words.
-- KEYS: 1 task  2 work  3 conversation  4 owed  5 owedbody  6 owing  7 changed
-- ARGV: 1 words  2 when they were written, milliseconds  3 entry  4 installation  5 effects
-- Returns 1 when they were written, 0 when the task is past that, has these or newer ones, or does not exist.
if redis.call('HGET', KEYS[1], 'state') ~= 'queued' then return 0 end
if tonumber(redis.call('HGET', KEYS[1], 'amended') or '0') > tonumber(ARGV[2]) then return 0 end
if redis.call('HGET', KEYS[1], 'request') == ARGV[1] then return 0 end
local at = now()
redis.call('HSET', KEYS[1], 'request', ARGV[1], 'amended', ARGV[2])
say(KEYS[3], ARGV[3], at)
owe(KEYS[4], KEYS[5], KEYS[6], KEYS[2], ARGV[4], ARGV[5], at)
changed(KEYS[7])
return 1
