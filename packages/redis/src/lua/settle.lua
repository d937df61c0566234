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
if redis.call('HEXISTS', KEYS[4], ARGV[2]) == 1 then return 'ALREADY' end
press_on(KEYS[4])
local done = tonumber(redis.call('HGET', KEYS[4], '#done') or 0) + 1
local is_full = done == tonumber(size)
if is_full then redis.call('SADD', KEYS[6], ARGV[4]) end
if ARGV[6] ~= '' then redis.call('HSET', KEYS[7], ARGV[2], ARGV[6]) end
redis.call('HINCRBY', KEYS[5], ARGV[4], #ARGV[3])
local first = 9 + 2 * ARGV[8]
for i = 9, first - 1, 2 do keep_said(KEYS[2], ARGV[i], ARGV[i + 1], ARGV[7]) end
local page = { ARGV[2], ARGV[3], '#done', done }
for i = first, #ARGV, 2 do
  redis.call('HINCRBY', KEYS[2], ARGV[i], ARGV[i + 1])
  local counter = '#' .. ARGV[i]
  page[#page + 1] = counter
  page[#page + 1] = string.format('%.0f', tonumber(redis.call('HGET', KEYS[4], counter) or 0) + tonumber(ARGV[i + 1]))
end
-- One command, and the last one: of a script that a cut append-only file has the beginning of, a page holds all or nothing.
redis.call('HSET', KEYS[4], unpack(page))
if is_full then redis.call('PUBLISH', ARGV[5], ARGV[4]) end
return 'WROTE'
