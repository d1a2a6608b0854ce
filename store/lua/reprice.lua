-- reprice has a machine's paid hours cost what they do: which machine it is, and so its price, is known when it is made.
-- KEYS: 1 fleet  2 spend
-- ARGV: 1 node  2 the price of an hour
-- Returns by how much the hours cost more than was reserved.
local text = redis.call('HGET', KEYS[1], ARGV[1])
if not text then return '0' end
local entry = cjson.decode(text)
local more = 0
for _, one in ipairs(entry.paid) do
  local sum = one.hours * (tonumber(ARGV[2]) - one.price)
  if sum ~= 0 then
    redis.call('HINCRBY', KEYS[2], one.day, int(sum))
    redis.call('HINCRBY', KEYS[2], one.month, int(sum))
    one.price, more = tonumber(ARGV[2]), more + sum
  end
end
redis.call('HSET', KEYS[1], ARGV[1], cjson.encode(entry))
return int(more)
