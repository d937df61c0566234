-- Does with a batch in work what the latest of its controls says; an older one changes nothing.
-- KEYS: epoch, batch   ARGV: number of the control, '1' to pause it, '1' to have it go first, wake channel, id
-- Returns: STEERED | ALREADY | CLOSED | GONE | RECOVERING
if recovering(KEYS[1]) then return 'RECOVERING' end
local phase, control = unpack(redis.call('HMGET', KEYS[2], 'phase', 'control'))
if not phase then return 'GONE' end
if phase == 'closed' then return 'CLOSED' end
if tonumber(control or 0) >= tonumber(ARGV[1]) then return 'ALREADY' end
press_on(KEYS[2])
redis.call('HSET', KEYS[2], 'control', ARGV[1], 'paused', ARGV[2], 'goesFirst', ARGV[3])
redis.call('PUBLISH', ARGV[4], ARGV[5])
return 'STEERED'
