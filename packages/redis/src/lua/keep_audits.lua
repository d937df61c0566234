-- Keeps what the audits of an open batch came to, and the rules by which its documents are answered from now on.
-- KEYS: epoch, batch, rules   ARGV: rules or '' (they stay), field of their version, version, field, value, ...
-- Returns: KEPT | CLOSED (it takes no results any more, or is gone) | RECOVERING
if recovering(KEYS[1]) then return 'RECOVERING' end
if redis.call('HGET', KEYS[2], 'phase') ~= 'open' then return 'CLOSED' end
if ARGV[1] ~= '' and redis.call('HGET', KEYS[2], ARGV[2]) ~= ARGV[3] then redis.call('SET', KEYS[3], ARGV[1]) end
redis.call('HSET', KEYS[2], unpack(ARGV, 4))
return 'KEPT'
