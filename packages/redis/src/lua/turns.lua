-- Takes start tags (start-time fair queueing) in a queue for documents of one batch; they become job priorities.
-- KEYS: turns, prioritized   ARGV: batch, how many, highest
-- Returns: the first tag; the others follow it, none above the highest
if redis.call('ZCARD', KEYS[2]) == 0 then redis.call('DEL', KEYS[1]) end
local have = redis.call('HMGET', KEYS[1], '#now', ARGV[1])
local first = math.max(tonumber(have[1] or 0), tonumber(have[2] or 0)) + 1
local last = math.min(first + tonumber(ARGV[2]) - 1, tonumber(ARGV[3]))
redis.call('HSET', KEYS[1], ARGV[1], last)
return math.min(first, tonumber(ARGV[3]))
