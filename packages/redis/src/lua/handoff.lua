-- A draft is escalated: whether the document still is to be done, and its turn in the expert's queue.
-- KEYS: epoch, batch, sealed, page, turns, prioritized   ARGV: page, place, batch, highest
-- Returns: {GO | ALREADY | CLOSED | RECOVERING, tag}
if recovering(KEYS[1]) then return { 'RECOVERING', 0 } end
if redis.call('HGET', KEYS[2], 'phase') ~= 'open' then return { 'CLOSED', 0 } end
if redis.call('GETBIT', KEYS[3], ARGV[1]) == 1 then return { 'ALREADY', 0 } end
if redis.call('HEXISTS', KEYS[4], '#size') == 0 then return { 'CLOSED', 0 } end
if redis.call('HEXISTS', KEYS[4], ARGV[2]) == 1 then return { 'ALREADY', 0 } end
if redis.call('ZCARD', KEYS[6]) == 0 then redis.call('DEL', KEYS[5]) end
local have = redis.call('HMGET', KEYS[5], '#now', ARGV[3])
local tag = math.min(math.max(tonumber(have[1] or 0), tonumber(have[2] or 0)) + 1, tonumber(ARGV[4]))
redis.call('HSET', KEYS[5], ARGV[3], tag)
return { 'GO', tag }
