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

-- owe records effects owed to GitHub. effects is a JSON array of {target, body}, both strings. An effect for a target
-- that already waits replaces it and keeps its time: one that is being delivered must not go to a second deliverer, and one
-- that was put off stays so. Its version tells the deliverer that is under way that there is more.
local function owe(owed, bodies, owing, work, installation, effects, at)
  local list = cjson.decode(effects)
  for _, e in ipairs(list) do
    redis.call('HSET', bodies, 'body:' .. e.target, e.body)
    redis.call('HINCRBY', bodies, 'version:' .. e.target, 1)
    redis.call('HDEL', bodies, 'attempts:' .. e.target)
    redis.call('ZADD', owed, 'NX', int(at), e.target)
  end
  if #list > 0 then
    redis.call('SADD', owing, installation)
    wake(work, 'owed', installation)
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
