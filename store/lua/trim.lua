-- trim.lua forgets the entries of a stream that are older than a time, and the stream when nothing is left of it.
-- KEYS: 1 stream
-- ARGV: 1 the time, Unix milliseconds
-- Returns how many entries it forgot.
local trimmed = redis.call('XTRIM', KEYS[1], 'MINID', ARGV[1])
if redis.call('XLEN', KEYS[1]) == 0 then redis.call('DEL', KEYS[1]) end
return trimmed
