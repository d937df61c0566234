-- Documents have left a bundle that a worker holds: each has a job of its own, or is nobody's any more.
-- KEYS: bundle's job, its lock   ARGV: token, places with commas between
-- Returns: LEFT | GONE (Redis lost it, or its lock went to somebody else)
if redis.call('GET', KEYS[2]) ~= ARGV[1] or redis.call('EXISTS', KEYS[1]) == 0 then return 'GONE' end
press_on(KEYS[1])
local left = redis.call('HGET', KEYS[1], 'left')
redis.call('HSET', KEYS[1], 'left', left and left .. ',' .. ARGV[2] or ARGV[2])
return 'LEFT'
