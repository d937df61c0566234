-- A page stands in storage: drops it here, leaving one bit. Its footer's counts replace those of its results.
-- KEYS: batch, sealed, page, in-hand, full, times   ARGV: page, member, wake channel, counter, sum, ...
-- Returns: SEALED | ALREADY | GONE
if redis.call('EXISTS', KEYS[1]) == 0 then return 'GONE' end
local first = redis.call('GETBIT', KEYS[2], ARGV[1]) == 0
local more = {}
if first then
  for i = 4, #ARGV, 2 do
    more[ARGV[i]] = tonumber(ARGV[i + 1]) - tonumber(redis.call('HGET', KEYS[3], '#' .. ARGV[i]) or 0)
  end
end
redis.call('DEL', KEYS[3], KEYS[6])
redis.call('HDEL', KEYS[4], ARGV[2])
redis.call('SREM', KEYS[5], ARGV[2])
if first then
  redis.call('SETBIT', KEYS[2], ARGV[1], 1)
  redis.call('HINCRBY', KEYS[1], 'sealedPages', 1)
  for counter, by in pairs(more) do redis.call('HINCRBY', KEYS[1], counter, by) end
end
redis.call('PUBLISH', ARGV[3], ARGV[2])
return first and 'SEALED' or 'ALREADY'
