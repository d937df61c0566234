-- KEYS: breaker   Returns: {closed | open | half_open (a call probes the server), reason or ''}
local breaker = redis.call('HMGET', KEYS[1], 'reason', 'probingUntil')
if not breaker[1] then return { 'closed', '' } end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
return { now < tonumber(breaker[2] or 0) and 'half_open' or 'open', breaker[1] }
