-- drain keeps tasks from a node, and has it go when it has none. Taking a slot and this are one script each on the same keys: a
-- node that goes has no task that was given to it before, and gets none after.
-- KEYS: 1 node  2 slots
-- ARGV: 1 why  2 JSON list of the tasks that it may go with, since they wait for an answer, or '' to go whatever it has
-- Returns 'gone' where there is no record of it, 'busy' when it has tasks yet, 'going'.
if redis.call('EXISTS', KEYS[1]) == 0 then return 'gone' end
redis.call('HSETNX', KEYS[1], 'draining', ARGV[1])
if ARGV[2] ~= '' then
  local waiting = {}
  for _, task in ipairs(cjson.decode(ARGV[2])) do waiting[task] = true end
  for _, task in ipairs(redis.call('HKEYS', KEYS[2])) do
    if not waiting[task] then return 'busy' end
  end
end
redis.call('HSET', KEYS[1], 'state', 'going')
return 'going'
