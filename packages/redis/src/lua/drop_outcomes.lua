-- Drops outcomes of audits that were written down: those at the head of the list, as far as they are the same.
-- KEYS: outcomes of the batch, batches with outcomes   ARGV: batch, outcome, ...
-- Returns: how many are left
for i = 2, #ARGV do
  if redis.call('LINDEX', KEYS[1], 0) ~= ARGV[i] then break end
  redis.call('LPOP', KEYS[1])
end
local left = redis.call('LLEN', KEYS[1])
if left == 0 then redis.call('SREM', KEYS[2], ARGV[1]) end
return left
