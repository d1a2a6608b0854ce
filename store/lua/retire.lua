-- retire.lua removes the consumers of a stream that have been silent for a time. One that still has entries to be taken over
-- stays; looking and removing are one step, for what a consumer was given goes with it.
-- KEYS: 1 stream
-- ARGV: 1 group  2 consumer that stays  3 milliseconds  4 '1' when what it was given goes with it: nobody takes that over
-- Returns how many.
local retired = 0
for _, c in ipairs(redis.call('XINFO', 'CONSUMERS', KEYS[1], ARGV[1])) do
  local has = {}
  for i = 1, #c, 2 do has[c[i]] = c[i + 1] end
  if has.name ~= ARGV[2] and has.idle >= tonumber(ARGV[3]) and (has.pending == 0 or ARGV[4] == '1') then
    redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], has.name)
    retired = retired + 1
  end
end
return retired
