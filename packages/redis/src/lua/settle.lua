-- Records a document's only result: the first one wins. Counts it in the same step.
-- KEYS: epoch, batch, sealed, page, in-flight, full, times
-- ARGV: page, place, result, member, wake channel, times or '', texts of a batch, how many counters and what a model server
-- said of each follow, then counter, increment, ...
-- Returns: WROTE | ALREADY (settled, or its page sealed) | CLOSED (batch ending or gone, or page not enqueued again) | RECOVERING
if recovering(KEYS[1]) then return 'RECOVERING' end
if redis.call('HGET', KEYS[2], 'phase') ~= 'open' then return 'CLOSED' end
if redis.call('GETBIT', KEYS[3], ARGV[1]) == 1 then return 'ALREADY' end
local size = redis.call('HGET', KEYS[4], '#size')
if not size then return 'CLOSED' end
press_on(KEYS[4])
if redis.call('HSETNX', KEYS[4], ARGV[2], ARGV[3]) == 0 then return 'ALREADY' end
if ARGV[6] ~= '' then redis.call('HSET', KEYS[7], ARGV[2], ARGV[6]) end
redis.call('HINCRBY', KEYS[5], ARGV[4], #ARGV[3])
local first = 9 + 2 * ARGV[8]
for i = 9, first - 1, 2 do keep_said(KEYS[2], ARGV[i], ARGV[i + 1], ARGV[7]) end
for i = first, #ARGV, 2 do
  redis.call('HINCRBY', KEYS[2], ARGV[i], ARGV[i + 1])
  redis.call('HINCRBY', KEYS[4], '#' .. ARGV[i], ARGV[i + 1])
end
if redis.call('HINCRBY', KEYS[4], '#done', 1) == tonumber(size) then
  redis.call('SADD', KEYS[6], ARGV[4])
  redis.call('PUBLISH', ARGV[5], ARGV[4])
end
return 'WROTE'
