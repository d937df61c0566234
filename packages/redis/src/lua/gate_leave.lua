-- A call that was to try the server was given up, or says nothing of it: another one may, unless one does already.
-- KEYS: gate   ARGV: until when the call was to try
if redis.call('HGET', KEYS[1], 'trying') == ARGV[1] then redis.call('HDEL', KEYS[1], 'trying') end
