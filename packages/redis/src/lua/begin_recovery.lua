-- Begins a recovery; one that another dispatcher began can no longer write.
-- KEYS: recovery   ARGV: token, ms
redis.call('DEL', KEYS[1])
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
