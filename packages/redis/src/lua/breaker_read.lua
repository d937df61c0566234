-- KEYS: breaker   Returns: {now, then as in the hash or false: reason, cause, until, openedAt, openings, closedAt,
-- answeredAt, probingUntil}
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local fields = { 'reason', 'cause', 'until', 'openedAt', 'openings', 'closedAt', 'answeredAt', 'probingUntil' }
return { now, unpack(redis.call('HMGET', KEYS[1], unpack(fields))) }
