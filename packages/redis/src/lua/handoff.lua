-- A draft is escalated: whether the document still is to be done, and its start tag in the next stage's queue. Charges
-- the draft's bytes to its page.
-- KEYS: epoch, batch, sealed, page, in-flight, start_tags, prioritized, delayed, active
-- ARGV: page, place, batch, highest, prefix of the queue's jobs, member, draft's bytes, the tag that was taken before
--   (empty: none; with one the draft was charged, and only its job could not be added)
-- Returns: {GO | ALREADY | CLOSED | RECOVERING, tag}
if recovering(KEYS[1]) then return { 'RECOVERING', 0 } end
if redis.call('HGET', KEYS[2], 'phase') ~= 'open' then return { 'CLOSED', 0 } end
if redis.call('GETBIT', KEYS[3], ARGV[1]) == 1 then return { 'ALREADY', 0 } end
if redis.call('HEXISTS', KEYS[4], '#size') == 0 then return { 'CLOSED', 0 } end
if redis.call('HEXISTS', KEYS[4], ARGV[2]) == 1 then return { 'ALREADY', 0 } end
if ARGV[8] ~= '' then return { 'GO', tonumber(ARGV[8]) } end
press_on(KEYS[6])
redis.call('HINCRBY', KEYS[5], ARGV[6], ARGV[7])
return { 'GO', take_tags(KEYS[6], KEYS[7], KEYS[8], KEYS[9], ARGV[5], ARGV[3], 1, tonumber(ARGV[4])) }
