-- owe.lua records effects owed to an installation that no task's step carries.
-- KEYS: 1 owed  2 owedbody  3 owing  4 work
-- ARGV: 1 installation  2 effects (JSON array of {target, body})  3 milliseconds until they are due
-- Returns 1.
owe(KEYS[1], KEYS[2], KEYS[3], KEYS[4], ARGV[1], ARGV[2], now() + tonumber(ARGV[3]))
return 1
