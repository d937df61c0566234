-- A call was answered though the gate is closed: the tier goes on, unless the server asked to be left alone for longer.
-- KEYS: gate   ARGV: ms to keep the time of it
-- Returns: OPENED | OPEN (it was already) | WAIT
local gate = redis.call('HMGET', KEYS[1], 'reason', 'told')
if not gate[1] then return 'OPEN' end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if now < tonumber(gate[2] or 0) then return 'WAIT' end
redis.call('HDEL', KEYS[1], 'reason', 'until', 'told', 'closed', 'closings', 'trying')
redis.call('HSET', KEYS[1], 'opened', now)
redis.call('PEXPIRE', KEYS[1], ARGV[1])
return 'OPENED'
