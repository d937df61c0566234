-- A call that was let through a closed gate was answered: the tier goes on.
-- KEYS: gate   ARGV: ms to keep the time of it
-- Returns: 1 if the gate was closed
local was_closed = redis.call('HEXISTS', KEYS[1], 'reason')
redis.call('HDEL', KEYS[1], 'reason', 'until', 'closed', 'closings', 'trying')
local time = redis.call('TIME')
redis.call('HSET', KEYS[1], 'opened', time[1] * 1000 + math.floor(time[2] / 1000))
redis.call('PEXPIRE', KEYS[1], ARGV[1])
return was_closed
