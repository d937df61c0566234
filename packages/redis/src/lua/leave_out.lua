-- Takes out of work a batch that this recovery cannot read, with its open pages: counts and results go together.
-- KEYS: recovery, batches, in-flight, full, key of the batch, ...   ARGV: token, id, page member, ...
-- Returns: LEFT_OUT | STALE
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 'STALE' end
redis.call('SREM', KEYS[2], ARGV[2])
for i = 3, #ARGV do
  redis.call('HDEL', KEYS[3], ARGV[i])
  redis.call('SREM', KEYS[4], ARGV[i])
end
redis.call('DEL', unpack(KEYS, 5))
return 'LEFT_OUT'
