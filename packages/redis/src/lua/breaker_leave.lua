-- A call that was the only one of its kind is over: the one that probed the server, or one that is asked alone.
-- KEYS: breaker   ARGV: the field that holds its place, as it holds it
if redis.call('HGET', KEYS[1], ARGV[1]) == ARGV[2] then redis.call('HDEL', KEYS[1], ARGV[1]) end
