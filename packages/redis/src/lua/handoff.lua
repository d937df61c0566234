-- Drafts of a page are escalated to the same tier. In one step they are charged to the page, leave the jobs that their
-- workers have them from, and stand in the next tier's queue: all of them, or none.
-- KEYS: epoch, batch, sealed, page, in-flight, start_tags, the nine of BullMQ's script (see add_job.lua), then of each job
--   that they are from: itself, its lock
-- ARGV: page, batch, member, highest tag, prefix of the queue's jobs, options of its jobs as JSON, now, bytes of the drafts,
--   then how many there are of these, which follow: places; of each job that they are from its lock's token, and which
--   of the places; of each new job how many documents it has, its id, name and data; and of each draft the stage, its tier,
--   the reason if it could not be judged, what the server said in an error, first drafts of a batch, at least, the counter
--   of its reason, what the server said of it or '', texts of a batch
-- Returns: {GO, and of each draft 1 when none of the stage's first drafts could be judged}, or one of {ALREADY (handed off
--   or settled) | APART (not each of several can be handed off, or not every job is still its worker's, or one that is to
--   be added is there: nothing is done, and each is to come by itself) | CLOSED | RECOVERING}
local FIXED = 15
if recovering(KEYS[1]) then return { 'RECOVERING' } end
local phase, tenant = unpack(redis.call('HMGET', KEYS[2], 'phase', 'tenant'))
if phase ~= 'open' then return { 'CLOSED' } end
if redis.call('GETBIT', KEYS[3], ARGV[1]) == 1 then return { 'ALREADY' } end
local following = lists_from(13)
local places, origins, jobs, drafts = following(9), following(10), following(11), following(12)
local known = redis.call('HMGET', KEYS[4], '#size', unpack(places))
if not known[1] then return { 'CLOSED' } end
local gone, apart, left = 0, false, {}
for i = 1, #places do
  if known[1 + i] then gone = gone + 1 end
end
for i = 1, #origins, 2 do
  local job, lock = KEYS[FIXED + i], KEYS[FIXED + i + 1]
  local name, noted = unpack(redis.call('HMGET', job, 'name', 'left'))
  if redis.call('GET', lock) ~= origins[i] then apart = true end
  if name then
    left[job] = noted and noted .. ',' .. origins[i + 1] or origins[i + 1]
    -- An answer of this script was lost, or somebody else who has the job was quicker.
    for place in string.gmatch(origins[i + 1], '%d+') do
      if has_left(noted, place) then gone = gone + 1 end
    end
  else
    apart = true
  end
end
-- One of its documents came this way before, with others. Of a single document the job that is there is its own.
for i = 1, #jobs, 4 do
  if tonumber(jobs[i]) > 1 and redis.call('EXISTS', ARGV[5] .. jobs[i + 1]) == 1 then apart = true end
end
if #places > 1 and (gone > 0 or apart) then return { 'APART' } end
if gone > 0 then return { 'ALREADY' } end
press_on(KEYS[6])
redis.call('HINCRBY', KEYS[5], ARGV[3], ARGV[8])
for job, noted in pairs(left) do redis.call('HSET', job, 'left', noted) end
local queue = { KEYS[6], KEYS[10], KEYS[11], KEYS[13], ARGV[5] }
local first, step, row = take_tags(queue, tenant or '', ARGV[2], #places, tonumber(ARGV[4]))
local at = 0
for i = 1, #jobs, 4 do
  local tag = math.min(first + at * step, row + at, ARGV[4])
  add_job({ unpack(KEYS, 7, FIXED) }, ARGV[5], { unpack(jobs, i + 1, i + 3) }, { ARGV[6], ARGV[7], tag })
  at = at + jobs[i]
end
local answer = { 'GO' }
for i = 1, #drafts, 9 do
  local stage, tier, reason, said, most, least, counter, text, texts = unpack(drafts, i, i + 8)
  if text ~= '' then keep_said(KEYS[2], counter, text, texts) end
  answer[#answer + 1] = count_draft(KEYS[2], stage, tier, reason, said, most, least)
end
return answer
