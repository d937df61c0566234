-- Charges bytes to a page that is in flight.
-- KEYS: in-flight   ARGV: member, bytes
-- Returns: 1 | 0 (it is not)
if redis.call('HEXISTS', KEYS[1], ARGV[1]) == 0 then return 0 end
redis.call('HINCRBY', KEYS[1], ARGV[1], ARGV[2])
return 1
