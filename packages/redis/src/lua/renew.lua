-- Takes or keeps the lease of the leading dispatcher.
-- KEYS: lease   ARGV: token, ms
-- Returns: 1 when it is held by this token
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return 0 end
redis.call('DEL', KEYS[1])
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
