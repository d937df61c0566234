-- Opens or closes a breaker as it was decided upon what was read, unless somebody else did meanwhile; no call probes then.
-- What was open until now is noted among the tier's holds: from, to and why.
-- KEYS: breaker, holds
-- ARGV: openedAt and closedAt as they were read or '', ms to keep it, holds that are kept, ms to keep those, fields and
-- values; '' removes one
-- Returns: WROTE | CHANGED
local known = redis.call('HMGET', KEYS[1], 'openedAt', 'closedAt', 'cause')
if (known[1] or '') ~= ARGV[1] or (known[2] or '') ~= ARGV[2] then return 'CHANGED' end
press_on(KEYS[1])
redis.call('HDEL', KEYS[1], 'probingUntil')
if known[1] then
  local time = redis.call('TIME')
  local now = time[1] .. string.format('%03d', math.floor(tonumber(time[2]) / 1000))
  redis.call('RPUSH', KEYS[2], known[1] .. ' ' .. now .. ' ' .. (known[3] or 'down'))
  redis.call('LTRIM', KEYS[2], -ARGV[4], -1)
  redis.call('PEXPIRE', KEYS[2], ARGV[5])
end
for i = 6, #ARGV, 2 do
  if ARGV[i + 1] == '' then redis.call('HDEL', KEYS[1], ARGV[i]) else redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1]) end
end
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return 'WROTE'
