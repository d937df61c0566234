-- The call of a document was broken off.
-- KEYS: broken calls   ARGV: document, when it failed, ms that it is remembered
redis.call('ZADD', KEYS[1], ARGV[2], ARGV[1] .. ' ' .. ARGV[2])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', ARGV[2] - ARGV[3])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
