-- Keeps how far an open batch was, of which the leading dispatcher takes notes.
-- KEYS: epoch, batch   ARGV: field, notes
-- Returns: KEPT | CLOSED (it takes no results any more, or is gone) | RECOVERING
if recovering(KEYS[1]) then return 'RECOVERING' end
if redis.call('HGET', KEYS[2], 'phase') ~= 'open' then return 'CLOSED' end
redis.call('HSET', KEYS[2], ARGV[1], ARGV[2])
return 'KEPT'
