-- Puts a batch back as storage knows it, while this recovery is the one going on. What Redis still has of it stays.
-- KEYS: recovery, batch, batches, rules   ARGV: token, id, phase, outcome, closedAtMs, rules or '', field, value, ...
-- Returns: RESTORED | STALE
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 'STALE' end
press_on(KEYS[2])
if redis.call('EXISTS', KEYS[2]) == 0 then redis.call('HSET', KEYS[2], 'enqueued', 0) end
redis.call('HSET', KEYS[2], 'phase', ARGV[3], 'restored', 1, unpack(ARGV, 7))
if ARGV[4] ~= '' then redis.call('HSET', KEYS[2], 'outcome', ARGV[4], 'closedAtMs', ARGV[5])
else redis.call('HDEL', KEYS[2], 'outcome', 'closedAtMs') end
if ARGV[6] ~= '' then redis.call('SET', KEYS[4], ARGV[6]) end
redis.call('SADD', KEYS[3], ARGV[2])
return 'RESTORED'
