-- held.lua asks whether an installation may be called, for calls that create nothing and take nothing from its pace.
-- KEYS: 1 hold
-- ARGV: none
-- Returns the milliseconds until it may, 0 for now.
return math.max(0, tonumber(redis.call('HGET', KEYS[1], 'until') or '0') - now())
