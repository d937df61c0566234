-- Records results of a page, each the only one of its document: the first one wins. Counts them in the same step.
-- KEYS: epoch, batch, sealed, page, in-flight, full, times
-- ARGV: page, member, wake channel, texts of a batch, results, place of each, then of each what results.lua says
-- Returns: of each WROTE | ALREADY (settled, or its page sealed) | CLOSED (batch ending or gone, or page not enqueued again)
-- | RECOVERING
local results = tonumber(ARGV[5])
local function all(answer)
  local answers = {}
  for i = 1, results do answers[i] = answer end
  return answers
end
if recovering(KEYS[1]) then return all('RECOVERING') end
if redis.call('HGET', KEYS[2], 'phase') ~= 'open' then return all('CLOSED') end
if redis.call('GETBIT', KEYS[3], ARGV[1]) == 1 then return all('ALREADY') end
local known = redis.call('HMGET', KEYS[4], '#size', '#done', unpack(ARGV, 6, 5 + results))
if not known[1] then return all('CLOSED') end
local answers, new = read_results(ARGV, 6 + results, known, 2)
if new.count == 0 then return answers end
press_on(KEYS[4])
local done = tonumber(known[2] or 0) + new.count
local is_full = done == tonumber(known[1])
if is_full then redis.call('SADD', KEYS[6], ARGV[2]) end
if #new.times > 0 then redis.call('HSET', KEYS[7], unpack(new.times)) end
redis.call('HINCRBY', KEYS[5], ARGV[2], new.bytes)
for _, said in ipairs(new.said) do keep_said(KEYS[2], said[1], said[2], ARGV[4]) end
local fields, counters = new.lines, {}
for counter, count in pairs(new.counters) do
  redis.call('HINCRBY', KEYS[2], counter, count)
  counters[#counters + 1] = '#' .. counter
end
for i, counted in ipairs(redis.call('HMGET', KEYS[4], unpack(counters))) do
  local sum = tonumber(counted or 0) + new.counters[string.sub(counters[i], 2)]
  fields[#fields + 1] = counters[i]
  fields[#fields + 1] = string.format('%.0f', sum)
end
-- One command, and the last one: of a script that a cut append-only file has the beginning of, a page holds all or nothing.
redis.call('HSET', KEYS[4], '#done', done, unpack(fields))
if is_full then redis.call('PUBLISH', ARGV[3], ARGV[2]) end
return answers
