-- Opens a validated batch: from now on its documents are enqueued and it takes results.
-- KEYS: epoch, batch, rules   ARGV: rules, field, value, ...
-- Returns: OPENED | CLOSED | RECOVERING
if recovering(KEYS[1]) then return 'RECOVERING' end
if redis.call('HGET', KEYS[2], 'phase') ~= 'validating' then return 'CLOSED' end
redis.call('HSET', KEYS[2], 'phase', 'open', unpack(ARGV, 2))
redis.call('SET', KEYS[3], ARGV[1])
return 'OPENED'
