-- loss.lua notes in the meta record that data were lost, once for all who notice it, or that what could be made up for it is.
-- A loss is named by the time at which it was noted first.
-- KEYS: 1 meta
-- ARGV: 1 the newest loss that this process knows to be made up for, 0 for none: a later one explains what it has noticed
--       2 a loss that is made up for now, '' when one was noticed
-- Returns the newest loss, and '1' when it is made up for; 0 when there is no record: that was lost once more.
if redis.call('EXISTS', KEYS[1]) == 0 then return { '0', '0' } end
local loss = redis.call('HGET', KEYS[1], 'loss') or '0'
if ARGV[2] == '' and tonumber(loss) <= tonumber(ARGV[1]) then
  loss = int(math.max(now(), tonumber(ARGV[1]) + 1))
  redis.call('HSET', KEYS[1], 'loss', loss)
elseif ARGV[2] == loss then
  redis.call('HSET', KEYS[1], 'recovered', loss)
end
local done = '0'
if redis.call('HGET', KEYS[1], 'recovered') == loss then done = '1' end
return { loss, done }
