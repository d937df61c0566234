-- A call was answered though the breaker is open: the tier goes on, unless the server asked to be left alone for longer.
-- KEYS: breaker   ARGV: ms to keep the time of it
-- Returns: CLOSED | ALREADY (it was closed) | WAIT
local breaker = redis.call('HMGET', KEYS[1], 'reason', 'askedUntil')
if not breaker[1] then return 'ALREADY' end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if now < tonumber(breaker[2] or 0) then return 'WAIT' end
redis.call('HDEL', KEYS[1], 'reason', 'until', 'askedUntil', 'openedAt', 'openings', 'probingUntil')
redis.call('HSET', KEYS[1], 'closedAt', now)
redis.call('PEXPIRE', KEYS[1], ARGV[1])
return 'CLOSED'
