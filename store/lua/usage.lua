-- usage.lua adds what one request to the model used to what the task has spent. The epoch is the attempt's that made the
-- request: an older one counts too, for the money is gone whoever holds the task by now. One that the task never had does not.
-- The ids of the last operations are kept, so that one that is sent again is counted once.
-- KEYS: 1 task
-- ARGV: 1 epoch  2 operation id  3 input  4 output  5 cache_read  6 cache_write  7 micro_usd
-- Returns 1, or 0 when the task or the epoch does not exist.
local epoch = tonumber(redis.call('HGET', KEYS[1], 'epoch') or '-1')
if epoch < tonumber(ARGV[1]) then return 0 end
local kept = 32
local ops = {}
for op in string.gmatch(redis.call('HGET', KEYS[1], 'spent:ops') or '', '%S+') do
  if op == ARGV[2] then return 1 end
  ops[#ops + 1] = op
end
ops[#ops + 1] = ARGV[2]
redis.call('HSET', KEYS[1], 'spent:ops', table.concat(ops, ' ', math.max(1, #ops - kept + 1)))
redis.call('HINCRBY', KEYS[1], 'spent:requests', 1)
for i, name in ipairs({ 'input', 'output', 'cache_read', 'cache_write', 'micro_usd' }) do
  redis.call('HINCRBY', KEYS[1], 'spent:' .. name, ARGV[i + 2])
end
return 1
