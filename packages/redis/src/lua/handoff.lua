-- A draft is escalated: whether the document still is to be done, and its start tag in the next stage's queue. Charges
-- the draft's bytes to its page.
-- KEYS: epoch, batch, sealed, page, in-flight, start_tags, prioritized, delayed, active
-- ARGV: page, place, batch, highest, prefix of the queue's jobs, member, draft's bytes, the tag that was taken before
--   (empty: none; with one the draft was charged, and only its job could not be added), stage, its tier, the reason if it
--   could not be judged, what the server said in an error, first drafts of a batch, at least,
--   the counter of its reason, what the server said of it or '', texts of a batch
-- Returns: {GO | ALREADY | CLOSED | RECOVERING, tag, 1 when none of the stage's first drafts could be judged}
if recovering(KEYS[1]) then return { 'RECOVERING', 0 } end
local batch = redis.call('HMGET', KEYS[2], 'phase', 'tenant')
if batch[1] ~= 'open' then return { 'CLOSED', 0 } end
if redis.call('GETBIT', KEYS[3], ARGV[1]) == 1 then return { 'ALREADY', 0 } end
if redis.call('HEXISTS', KEYS[4], '#size') == 0 then return { 'CLOSED', 0 } end
if redis.call('HEXISTS', KEYS[4], ARGV[2]) == 1 then return { 'ALREADY', 0 } end
if ARGV[8] ~= '' then return { 'GO', tonumber(ARGV[8]) } end
press_on(KEYS[6])
redis.call('HINCRBY', KEYS[5], ARGV[6], ARGV[7])
if ARGV[16] ~= '' then keep_said(KEYS[2], ARGV[15], ARGV[16], ARGV[17]) end
local told = count_draft(KEYS[2], ARGV[9], ARGV[10], ARGV[11], ARGV[12], ARGV[13], ARGV[14])
local queue = { KEYS[6], KEYS[7], KEYS[8], KEYS[9], ARGV[5] }
local own, _, row = take_tags(queue, batch[2] or '', ARGV[3], 1, tonumber(ARGV[4]))
return { 'GO', math.min(own, row, tonumber(ARGV[4])), told }
