-- Moves the enqueueing of a batch on, if nobody else did.
-- KEYS: epoch, batch   ARGV: from, to
-- Returns: ADVANCED | STALE | RECOVERING
if recovering(KEYS[1]) then return 'RECOVERING' end
if redis.call('HGET', KEYS[2], 'enqueued') ~= ARGV[1] then return 'STALE' end
redis.call('HSET', KEYS[2], 'enqueued', ARGV[2])
return 'ADVANCED'
