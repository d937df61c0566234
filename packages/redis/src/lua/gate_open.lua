-- A call was answered though the gate is closed: the tier goes on, unless the server asked to be left alone for longer.
-- KEYS: gate   ARGV: ms to keep the time of it
-- Returns: 1 if the gate was closed and is open
local gate = redis.call('HMGET', KEYS[1], 'reason', 'until', 'told')
if not gate[1] then return 0 end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if gate[3] and now < tonumber(gate[2]) then return 0 end
redis.call('HDEL', KEYS[1], 'reason', 'until', 'told', 'closed', 'closings', 'trying')
redis.call('HSET', KEYS[1], 'opened', now)
redis.call('PEXPIRE', KEYS[1], ARGV[1])
return 1
