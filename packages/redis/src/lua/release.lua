-- Gives the lease back, if it is this token's.
-- KEYS: lease   ARGV: token
-- Returns: 1 when it was
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1])
