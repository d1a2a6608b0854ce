-- sweep.lua looks at what is due in a partition.
-- KEYS: 1 due  2 owing
-- ARGV: 1 how many tasks  2 what the names of the owed sets of this partition begin with
-- Returns {task ids, the oldest deadline first; installations with something due}.
local at = int(now())
local installations = {}
for _, installation in ipairs(redis.call('SMEMBERS', KEYS[2])) do
  if #redis.call('ZRANGEBYSCORE', ARGV[2] .. installation, '-inf', at, 'LIMIT', 0, 1) > 0 then
    installations[#installations + 1] = installation
  end
end
return { redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', at, 'LIMIT', 0, ARGV[1]), installations }
