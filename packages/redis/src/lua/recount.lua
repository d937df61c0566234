-- Sets the counters of a batch to what its pages say, while this recovery is the one going on: what stands in storage,
-- and what its open pages have counted.
-- KEYS: recovery, batch, open page, ...   ARGV: token, sealed pages, counter, sum of the footers, ...
-- Returns: RECOUNTED | STALE
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 'STALE' end
press_on(KEYS[2])
redis.call('HSET', KEYS[2], 'sealedPages', ARGV[2])
for i = 3, #ARGV, 2 do
  local sum = tonumber(ARGV[i + 1])
  for page = 3, #KEYS do sum = sum + tonumber(redis.call('HGET', KEYS[page], '#' .. ARGV[i]) or 0) end
  redis.call('HSET', KEYS[2], ARGV[i], string.format('%.0f', sum))
end
return 'RECOUNTED'
