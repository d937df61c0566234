-- Records what an audit says, once: of a job that is not waited for any more nothing is.
-- KEYS: epoch, batch, audits of the tier, outcomes of the batch, batches with outcomes   ARGV: job, batch, outcome
-- Returns: WROTE | ALREADY | CLOSED | RECOVERING
if recovering(KEYS[1]) then return 'RECOVERING' end
if redis.call('HDEL', KEYS[3], ARGV[1]) == 0 then return 'ALREADY' end
if redis.call('HGET', KEYS[2], 'phase') ~= 'open' then return 'CLOSED' end
redis.call('RPUSH', KEYS[4], ARGV[3])
redis.call('SADD', KEYS[5], ARGV[2])
return 'WROTE'
