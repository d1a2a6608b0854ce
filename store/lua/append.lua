-- append.lua stores a run of a task's events. Numbers have no gaps: what is stored already is passed over, and what
-- comes too early is left for the node to send again. What is new is a sign of the node's as good as a beat.
-- KEYS: 1 task  2 events  3 shelf  4 due
-- ARGV: 1 epoch  2 node  3 id  4 how many events may be in the stream before the older ones are shelved, '' for no limit
--       5 a node's lease and 6 its time to stop, 7 how much of the lease has to be gone before it is pushed on: milliseconds
--       then for each event: its number, its JSON, and where the whole lies when that is its head only, else ''
-- Returns the number of the last event stored, or -1 when the epoch is stale or the task is not with that node.
local state = redis.call('HGET', KEYS[1], 'state')
local epoch, node = redis.call('HGET', KEYS[1], 'epoch'), redis.call('HGET', KEYS[1], 'node')
if epoch ~= ARGV[1] or node ~= ARGV[2] then return -1 end -- protects: fence
if not (state == 'preparing' or state == 'running' or state == 'waiting') then return -1 end
local before = tonumber(redis.call('HGET', KEYS[1], 'last'))
local last = before
local at = int(now())
for i = 8, #ARGV, 3 do
  local seq = tonumber(ARGV[i])
  if seq == last + 1 then
    local entry = { 'event', ARGV[i + 1], 'epoch', ARGV[1], 'at', at }
    if ARGV[i + 2] ~= '' then entry[7], entry[8] = 'whole', ARGV[i + 2] end
    redis.call('XADD', KEYS[2], int(seq) .. '-0', unpack(entry))
    last = seq
  end
end
if ARGV[4] ~= '' and last - tonumber(redis.call('HGET', KEYS[1], 'shelved') or '0') > tonumber(ARGV[4]) then
  redis.call('ZADD', KEYS[3], 'NX', at, ARGV[3])
end
if last > before then
  redis.call('HSET', KEYS[1], 'last', int(last), 'progressed', at)
  local left = tonumber(redis.call('HGET', KEYS[1], 'lease_until') or '0') - tonumber(at)
  if left <= tonumber(ARGV[5]) - tonumber(ARGV[7]) and redis.call('HGET', KEYS[1], 'lease_owner') == node then
    alive(KEYS[1], KEYS[4], ARGV[3], tonumber(ARGV[5]), tonumber(ARGV[6]))
  end
end
return last
