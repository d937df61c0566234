-- A call that was to probe the server was given up, or says nothing of it: another one may, unless one does already.
-- KEYS: breaker   ARGV: until when the call was to probe
if redis.call('HGET', KEYS[1], 'probingUntil') == ARGV[1] then redis.call('HDEL', KEYS[1], 'probingUntil') end
