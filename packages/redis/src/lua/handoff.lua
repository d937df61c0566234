-- Drafts of a page are escalated to the same tier: writes each into the job that its worker has it from, so that whoever
-- gets that next asks for it no more, and says which of their documents still are to be done, and their start tags in that
-- tier's queue. Charges each draft to the page, once.
-- KEYS: epoch, batch, sealed, page, in-flight, start_tags, prioritized, delayed, active, then of each draft that is to be
--   written: its job, that job's lock
-- ARGV: page, batch, highest, prefix of the queue's jobs, member, then of each draft: its place, the tag that was taken
--   before (empty: none; with one the draft was charged, and only its job could not be added), the lock's token (empty: it
--   is written already), the field of the job, the document with its draft, and the ten of charge_draft.lua
-- Returns: of each {GO | ALREADY | CLOSED | RECOVERING, tag, 1 when none of the stage's first drafts could be judged,
--   SAVED | GONE as write_document.lua says, or '' where nothing was to be written}
local FIXED_KEYS, FIXED, DRAFT = 9, 5, 15
-- First: also the drafts of a batch that is over are looked for in their jobs.
local written = {}
local key = FIXED_KEYS + 1
for i = FIXED + 1, #ARGV, DRAFT do
  local token = ARGV[i + 2]
  if token ~= '' then
    written[i] = write_document(KEYS[key], KEYS[key + 1], token, ARGV[i + 3], ARGV[i + 4])
    key = key + 2
  end
end
local batch = redis.call('HMGET', KEYS[2], 'phase', 'tenant')
local none = recovering(KEYS[1]) and 'RECOVERING'
  or batch[1] ~= 'open' and 'CLOSED'
  or redis.call('GETBIT', KEYS[3], ARGV[1]) == 1 and 'ALREADY'
  or redis.call('HEXISTS', KEYS[4], '#size') == 0 and 'CLOSED'
local answers, new = {}, {}
for i = FIXED + 1, #ARGV, DRAFT do
  local state = none or redis.call('HEXISTS', KEYS[4], ARGV[i]) == 1 and 'ALREADY' or 'GO'
  local answer = { state, tonumber(ARGV[i + 1]) or 0, 0, written[i] or '' }
  answers[#answers + 1] = answer
  if state == 'GO' and ARGV[i + 1] == '' then
    press_on(KEYS[6])
    answer[3] = charge_draft(KEYS[2], KEYS[5], ARGV[5], { unpack(ARGV, i + 5, i + DRAFT - 1) })
    new[#new + 1] = answer
  end
end
if #new == 0 then return answers end
local highest = tonumber(ARGV[3])
local queue = { KEYS[6], KEYS[7], KEYS[8], KEYS[9], ARGV[4] }
local own, step, row = take_tags(queue, batch[2] or '', ARGV[2], #new, highest)
for i, answer in ipairs(new) do answer[2] = math.min(own + (i - 1) * step, row + i - 1, highest) end
return answers
