-- Takes a new batch into work.
-- KEYS: epoch, batch, batches   ARGV: id, wake channel, field, value, ...
-- Returns: ADMITTED | ALREADY | RECOVERING
if recovering(KEYS[1]) then return 'RECOVERING' end
if redis.call('EXISTS', KEYS[2]) == 1 then return 'ALREADY' end
redis.call('HSET', KEYS[2], 'phase', 'validating', 'enqueued', 0, unpack(ARGV, 3))
redis.call('SADD', KEYS[3], ARGV[1])
redis.call('PUBLISH', ARGV[2], ARGV[1])
return 'ADMITTED'
