-- Sets the counters of a batch to what its pages say, while this recovery is the one going on: what stands in storage,
-- and what its open pages have counted. Counters (the names with a slash, but for texts and what was told) that no page
-- names go.
-- KEYS: recovery, batch, sealed, open page, ...   ARGV: token, sealed pages, counter, sum of the footers, ...
-- Returns: RECOUNTED | SEALED_MEANWHILE (a page that is not among the sealed ones: read them again) | STALE
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 'STALE' end
if redis.call('BITCOUNT', KEYS[3]) > tonumber(ARGV[2]) then return 'SEALED_MEANWHILE' end
press_on(KEYS[2])
redis.call('HSET', KEYS[2], 'sealedPages', ARGV[2])
local sums = {}
for i = 3, #ARGV, 2 do sums[ARGV[i]] = tonumber(ARGV[i + 1]) end
for page = 4, #KEYS do
  for counter, count in pairs(counters_of(KEYS[page])) do sums[counter] = (sums[counter] or 0) + count end
end
for _, field in ipairs(redis.call('HKEYS', KEYS[2])) do
  if string.find(field, '^[^:]+/') and not sums[field] then redis.call('HDEL', KEYS[2], field) end
end
for counter, sum in pairs(sums) do redis.call('HSET', KEYS[2], counter, string.format('%.0f', sum)) end
return 'RECOUNTED'
