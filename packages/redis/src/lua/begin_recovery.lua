-- Begins a recovery, unless another dispatcher finished one since; one that another dispatcher began can no longer write.
-- KEYS: epoch, recovery   ARGV: token, ms
-- Returns: BEGUN | RECOVERED
if not recovering(KEYS[1]) then return 'RECOVERED' end
redis.call('DEL', KEYS[2])
redis.call('SET', KEYS[2], ARGV[1], 'PX', ARGV[2])
return 'BEGUN'
