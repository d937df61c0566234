-- Records results of a page, each the only one of its document: the first one wins. Counts them in the same step.
-- KEYS: epoch, batch, sealed, page, in-flight, full, times
-- ARGV: page, member, wake channel, texts of a batch, then how many there are of these, which follow: places, one of each
--   result; fields of the page and their values; places and times; counters and what a model server said of them; counters
--   and increments
-- Returns: WROTE | ALREADY (settled, or its page sealed) | APART (some of several have a result: nothing is recorded, and
-- each is to come by itself) | CLOSED (batch ending or gone, or page not enqueued again) | RECOVERING
if recovering(KEYS[1]) then return 'RECOVERING' end
if redis.call('HGET', KEYS[2], 'phase') ~= 'open' then return 'CLOSED' end
if redis.call('GETBIT', KEYS[3], ARGV[1]) == 1 then return 'ALREADY' end
local following = lists_from(10)
local places = following(5)
local known = redis.call('HMGET', KEYS[4], '#size', '#done', unpack(places))
if not known[1] then return 'CLOSED' end
for i = 1, #places do
  if known[2 + i] then return #places == 1 and 'ALREADY' or 'APART' end
end
local fields, times, said, counters = following(6), following(7), following(8), following(9)
press_on(KEYS[4])
local done = tonumber(known[2] or 0) + #places
local is_full = done == tonumber(known[1])
if is_full then redis.call('SADD', KEYS[6], ARGV[2]) end
if #times > 0 then redis.call('HSET', KEYS[7], unpack(times)) end
local bytes = 0
for i = 2, #fields, 2 do bytes = bytes + #fields[i] end
redis.call('HINCRBY', KEYS[5], ARGV[2], bytes)
for i = 1, #said, 2 do keep_said(KEYS[2], said[i], said[i + 1], ARGV[4]) end
local sums = add_counters(KEYS[2], '', counters)
if #sums > 0 then redis.call('HSET', KEYS[2], unpack(sums)) end
for _, field in ipairs(add_counters(KEYS[4], '#', counters)) do fields[#fields + 1] = field end
-- One command, and the last one: of a script that a cut append-only file has the beginning of, a page holds all or nothing.
redis.call('HSET', KEYS[4], '#done', done, unpack(fields))
if is_full then redis.call('PUBLISH', ARGV[3], ARGV[2]) end
return 'WROTE'
