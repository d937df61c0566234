-- Opens a validated batch: from now on it is fed and takes results.
-- KEYS: epoch, batch   ARGV: field, value, ...
-- Returns: OPENED | CLOSED | RECOVERING
if recovering(KEYS[1]) then return 'RECOVERING' end
if redis.call('HGET', KEYS[2], 'phase') ~= 'validating' then return 'CLOSED' end
redis.call('HSET', KEYS[2], 'phase', 'open', unpack(ARGV))
return 'OPENED'
