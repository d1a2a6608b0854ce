-- wait.lua looks after a task that waits for an answer: it lets go of a node that is lost or has ended the attempt as that,
-- reminds, and says when the time for an answer is over.
-- KEYS: 1 task  2 due  3 work  4 owed  5 owedbody  6 owing  7 changed
-- ARGV: 1 id  2 number of the question, and 3 how many reminders were owed, as they were read
--       4 effects: the next reminder, [] when there is none left  5 installation  6 effects of letting go
--       7 milliseconds from the question to the next reminder, or to the end  8 to the one after that  9 to the end
-- Returns 'alone' when it let go of the node, 'reminded', 'over', or 'nothing'.
if redis.call('HGET', KEYS[1], 'state') ~= 'waiting' or redis.call('HEXISTS', KEYS[1], 'cancel') == 1
  or redis.call('HGET', KEYS[1], 'asked_seq') ~= ARGV[2] or redis.call('HGET', KEYS[1], 'reminded') ~= ARGV[3] then
  return 'nothing'
end
local at = now()
local asked = tonumber(redis.call('HGET', KEYS[1], 'asked'))
local node = redis.call('HGET', KEYS[1], 'node') or ''
if at >= asked + tonumber(ARGV[9]) then
  redis.call('HSET', KEYS[1], 'expired', '1')
  return 'over'
end
local what, nag = 'nothing', asked + tonumber(ARGV[7])
if at >= nag then
  what, nag = 'reminded', asked + tonumber(ARGV[8])
  redis.call('HSET', KEYS[1], 'reminded', int(tonumber(ARGV[3]) + 1), 'nag', int(nag))
  owe(KEYS[4], KEYS[5], KEYS[6], KEYS[3], ARGV[5], ARGV[4], at)
elseif node ~= '' and (tonumber(redis.call('HGET', KEYS[1], 'lease_until') or '0') <= at or redis.call('HEXISTS', KEYS[1], 'end') == 1) then
  what = 'alone'
  letgo(KEYS[1], node)
  owe(KEYS[4], KEYS[5], KEYS[6], KEYS[3], ARGV[5], ARGV[6], at)
  changed(KEYS[7])
  node = ''
end
local due = nag
if node ~= '' then due = math.min(nag, tonumber(redis.call('HGET', KEYS[1], 'lease_until'))) end
redis.call('ZADD', KEYS[2], int(due), ARGV[1])
return what
