-- prelude.lua is put before every script. It has no KEYS and no ARGV of its own.

-- now is Redis's clock in whole milliseconds.
local function now()
  local t = redis.call('TIME')
  return tonumber(t[1]) * 1000 + math.floor(tonumber(t[2]) / 1000)
end

-- int writes a number without exponent or fraction, as Go reads it back.
local function int(n) return string.format('%.0f', n) end

-- wake tells one of the workers that a task can be looked at, or that something is owed.
local function wake(work, kind, id)
  redis.call('XADD', work, 'MAXLEN', '~', '10000', '*', 'kind', kind, 'id', id)
end

-- changed wakes who follows a task. The stream holds one entry and expires, since nobody reads what it says.
local function changed(stream)
  redis.call('XADD', stream, 'MAXLEN', '1', '*', 'c', '1')
  redis.call('PEXPIRE', stream, 3600000)
end

-- owe records effects owed to GitHub. effects is a JSON array of {target, body}, both strings. An effect for a target
-- that already waits replaces it and keeps its time: one that is being delivered must not go to a second deliverer, one
-- that was put off stays so, and one whose target was told a moment ago waits that moment out (settle.lua calls it quiet).
-- Only the last word of a task, with final, does not wait for that moment. The version tells the deliverer that is under
-- way that there is more.
local function owe(owed, bodies, owing, work, installation, effects, at, final)
  local list = cjson.decode(effects)
  for _, e in ipairs(list) do
    redis.call('HSET', bodies, 'body:' .. e.target, e.body)
    redis.call('HINCRBY', bodies, 'version:' .. e.target, 1)
    redis.call('HDEL', bodies, 'attempts:' .. e.target)
    if final then
      redis.call('HSET', bodies, 'final:' .. e.target, '1')
      if redis.call('HEXISTS', bodies, 'quiet:' .. e.target) == 1 then
        redis.call('ZADD', owed, 'XX', int(at), e.target)
      end
    end
    redis.call('ZADD', owed, 'NX', int(at), e.target)
  end
  if #list > 0 then
    redis.call('SADD', owing, installation)
    wake(work, 'owed', installation)
  end
end

-- forget removes every trace of what was owed to a target, and of the installation when nothing else is owed to it.
local function forget(owed, bodies, owing, installation, target)
  redis.call('ZREM', owed, target)
  if redis.call('EXISTS', owed) == 0 then redis.call('SREM', owing, installation) end
  local hold = redis.call('HGET', bodies, 'hold:' .. target)
  if hold then redis.call('HDEL', bodies, 'take:' .. hold) end
  for _, part in ipairs({ 'body', 'version', 'attempts', 'since', 'hold', 'quiet', 'final' }) do
    redis.call('HDEL', bodies, part .. ':' .. target)
  end
end

-- say appends an entry to a project's conversation, unless it is empty.
local function say(conversation, entry, at)
  if entry ~= '' then
    redis.call('XADD', conversation, '*', 'entry', entry, 'at', int(at))
  end
end

-- set writes a JSON object's members, strings all, into a hash.
local function set(key, fields)
  for name, value in pairs(cjson.decode(fields)) do
    redis.call('HSET', key, name, value)
  end
end

-- letgo takes a waiting task from the node that it was on. That was no attempt's failure: it is not counted.
local function letgo(task, node)
  redis.call('HINCRBY', task, 'epoch', 1)
  redis.call('HINCRBY', task, 'attempts', -1)
  redis.call('HSET', task, 'node', '', 'avoid', node, 'lease_owner', '', 'lease_until', '0')
  redis.call('HDEL', task, 'end')
end

-- alive pushes on the lease of the node that has a task, when the node was heard of. Not beyond the time that its attempt may
-- give no sign, nor beyond the time that it has to stop one that is not wanted any more: then the attempt is taken from it
-- though it lives. One that waits for an answer need give no sign; it is due when its requester is to be reminded. An
-- attempt that has ended waits for a runner, not for its node. lease and stop are milliseconds.
local function alive(task, due, id, lease, stop)
  if redis.call('HEXISTS', task, 'end') == 1 then return end
  local till = now() + lease
  local state = redis.call('HGET', task, 'state')
  if state == 'preparing' or state == 'running' or state == 'waiting' then
    local cancelled = tonumber(redis.call('HGET', task, 'cancelled') or '')
    if cancelled then till = math.min(till, cancelled + stop) end
    local silence = tonumber(redis.call('HGET', task, 'silence') or '')
    local progressed = tonumber(redis.call('HGET', task, 'progressed') or '')
    if silence and progressed and state ~= 'waiting' then till = math.min(till, progressed + silence) end
  end
  redis.call('HSET', task, 'lease_until', int(till))
  if state == 'waiting' then till = math.min(till, tonumber(redis.call('HGET', task, 'nag') or till)) end
  redis.call('ZADD', due, int(till), id)
end
