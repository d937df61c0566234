-- A worker took a document: whether it still is to be done. Moves the queue's present on.
-- KEYS: epoch, batch, sealed, page, turns   ARGV: page, place, priority
-- Returns: GO | ALREADY | CLOSED | GONE (no such batch, or its page is not begun) | RECOVERING
press_on(KEYS[5])
if tonumber(ARGV[3]) > tonumber(redis.call('HGET', KEYS[5], '#now') or 0) then
  redis.call('HSET', KEYS[5], '#now', ARGV[3])
end
if recovering(KEYS[1]) then return 'RECOVERING' end
local phase = redis.call('HGET', KEYS[2], 'phase')
if not phase then return 'GONE' end
if phase ~= 'open' then return 'CLOSED' end
if redis.call('GETBIT', KEYS[3], ARGV[1]) == 1 then return 'ALREADY' end
if redis.call('HEXISTS', KEYS[4], '#size') == 0 then return 'GONE' end
if redis.call('HEXISTS', KEYS[4], ARGV[2]) == 1 then return 'ALREADY' end
return 'GO'
