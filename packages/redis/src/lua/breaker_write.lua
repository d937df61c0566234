-- Opens or closes a breaker as it was decided upon what was read, unless somebody else did meanwhile; no call probes then.
-- KEYS: breaker   ARGV: openedAt and closedAt as they were read or '', ms to keep it, fields and values; '' removes one
-- Returns: WROTE | CHANGED
local known = redis.call('HMGET', KEYS[1], 'openedAt', 'closedAt')
if (known[1] or '') ~= ARGV[1] or (known[2] or '') ~= ARGV[2] then return 'CHANGED' end
press_on(KEYS[1])
redis.call('HDEL', KEYS[1], 'probingUntil')
for i = 4, #ARGV, 2 do
  if ARGV[i + 1] == '' then redis.call('HDEL', KEYS[1], ARGV[i]) else redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1]) end
end
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return 'WROTE'
