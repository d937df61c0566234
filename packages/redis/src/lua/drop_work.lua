-- Strikes batches off a tenant's work; one that was noted anew meanwhile stays.
-- KEYS: work   ARGV: batch, what was noted, ...
for i = 1, #ARGV, 2 do
  if redis.call('HGET', KEYS[1], ARGV[i]) == ARGV[i + 1] then redis.call('HDEL', KEYS[1], ARGV[i]) end
end
