-- The last step of a recovery: from here on Redis' memory counts again. The token is gone if Redis was wiped meanwhile.
-- KEYS: recovery, epoch   ARGV: token, run id
-- Returns: RECOVERED | STALE
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 'STALE' end
redis.call('DEL', KEYS[1])
redis.call('SET', KEYS[2], ARGV[2])
return 'RECOVERED'
