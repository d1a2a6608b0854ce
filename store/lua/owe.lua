-- owe.lua records effects owed to an installation.
-- KEYS: 1 owed  2 owedbody  3 owing  4 work
-- ARGV: 1 installation  2 effects (JSON array of {target, body})
-- Returns 1.
owe(KEYS[1], KEYS[2], KEYS[3], KEYS[4], ARGV[1], ARGV[2], now())
return 1
