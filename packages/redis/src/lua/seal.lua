-- A page stands in storage: drops it here, leaving one bit. Its footer's counts replace those of its results.
-- KEYS: batch, sealed, page, in-flight, full, times   ARGV: page, member, wake channel, counter, sum, ...
-- Returns: SEALED | ALREADY | GONE
if redis.call('EXISTS', KEYS[1]) == 0 then return 'GONE' end
local first = redis.call('GETBIT', KEYS[2], ARGV[1]) == 0
local more = {}
if first then
  for counter, count in pairs(counters_of(KEYS[3])) do more[counter] = -count end
  for i = 4, #ARGV, 2 do more[ARGV[i]] = (more[ARGV[i]] or 0) + tonumber(ARGV[i + 1]) end
end
redis.call('DEL', KEYS[3], KEYS[6])
redis.call('HDEL', KEYS[4], ARGV[2])
redis.call('SREM', KEYS[5], ARGV[2])
if first then
  redis.call('SETBIT', KEYS[2], ARGV[1], 1)
  redis.call('HINCRBY', KEYS[1], 'sealedPages', 1)
  for counter, by in pairs(more) do
    if by ~= 0 then redis.call('HINCRBY', KEYS[1], counter, string.format('%.0f', by)) end
  end
end
redis.call('PUBLISH', ARGV[3], ARGV[2])
return first and 'SEALED' or 'ALREADY'
