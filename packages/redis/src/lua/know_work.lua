-- Takes down which batches a tenant has in work, as they were read elsewhere; what is noted already stays.
-- KEYS: epoch, work   ARGV: ms for which this holds, batch, documents, ...
-- Returns: KNOWN | RECOVERING
if recovering(KEYS[1]) then return 'RECOVERING' end
local time = redis.call('TIME')
for i = 2, #ARGV, 2 do redis.call('HSETNX', KEYS[2], ARGV[i], '0 0 ' .. ARGV[i + 1] .. ' -') end
redis.call('HSETNX', KEYS[2], '@place', 0)
redis.call('HSET', KEYS[2], '@known', time[1] * 1000 + math.floor(time[2] / 1000))
redis.call('PEXPIRE', KEYS[2], ARGV[1])
return 'KNOWN'
