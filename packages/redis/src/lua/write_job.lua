-- A worker writes a job as changed, if it is still its own.
-- KEYS: job, its lock   ARGV: token, data
-- Returns: SAVED | GONE (Redis lost it, or its lock went to somebody else)
if redis.call('GET', KEYS[2]) ~= ARGV[1] or redis.call('EXISTS', KEYS[1]) == 0 then return 'GONE' end
redis.call('HSET', KEYS[1], 'data', ARGV[2])
return 'SAVED'
