-- Delayed jobs whose due time was said by another clock than Redis', or that nobody woke when they were due: a worker's
-- clock may have jumped, and BullMQ takes both times from it.
-- KEYS: delayed   ARGV: jobs (their keys without the id), tolerance in ms, most
-- Returns: ids
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local from, to = now - ARGV[2], now + ARGV[2]
-- A job's score is its due time, and 12 bits that keep the order.
local found = redis.call('ZRANGEBYSCORE', KEYS[1], 0, from * 0x1000, 'LIMIT', 0, ARGV[3])
local later = redis.call('ZREVRANGEBYSCORE', KEYS[1], '+inf', to * 0x1000, 'WITHSCORES', 'LIMIT', 0, ARGV[3])
for i = 1, #later, 2 do
  local delay = tonumber(redis.call('HGET', ARGV[1] .. later[i], 'delay') or 0)
  if math.floor(tonumber(later[i + 1]) / 0x1000) - delay > to then table.insert(found, later[i]) end
end
return found
