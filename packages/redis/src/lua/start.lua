-- A worker took a job up: which of its documents still are to be done, and whether their model may be asked. Moves the
-- queue's present on, and notes where what its tenant was given ends. Through an open breaker whose time is over one call
-- goes at a time, to probe the server. Of documents that are asked alone, as their server broke down under them, one goes
-- at a time. Of an audit its document has its result: it is asked about while it is waited for.
-- KEYS: epoch, batch, sealed, page, start tags, breaker, job, broken calls, audits of the tier
-- ARGV: page, places with commas between, priority, ms a probe may take before another one, '1' to ask the model, ms to
-- keep a breaker, when this worker was last answered or '', the document if it is asked alone or '', ms its call may take,
-- when the latest call began that was answered or '', how often a worker was lost that had the job, the document, when
-- its last call failed if that is to be judged or '', within how many ms calls break together, '1' for an audit
-- Returns: {GO | PROBE | WAIT | ALONE | ALREADY (all of them) | CLOSED | PAUSED (the batch) | GONE (no such batch, or its page is
-- not enqueued)
-- | RECOVERING, for PROBE until when, for WAIT the ms, 0: until the one that probes was answered; now, breaker's closedAt,
-- workedAt, when a worker took the job up that was lost or 0, 1 if its last call broke with others, the places of those
-- that have a result or left, the version of the batch's rules}
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local phase, rules_version, paused, tenant =
  unpack(redis.call('HMGET', KEYS[2], 'phase', 'rulesVersion', 'paused', 'tenant'))
local taken_of = taken_field(tenant or '')
local present, taken = unpack(redis.call('HMGET', KEYS[5], '#now', taken_of))
press_on(KEYS[5])
if tonumber(ARGV[3]) > tonumber(present or 0) then redis.call('HSET', KEYS[5], '#now', ARGV[3]) end
if recovering(KEYS[1]) then return { 'RECOVERING', 0, now, 0, 0 } end
local settled = {}
if ARGV[15] == '1' then
  if phase ~= 'open' then redis.call('HDEL', KEYS[9], ARGV[12]) end
  if redis.call('HEXISTS', KEYS[9], ARGV[12]) == 0 then return { 'GONE', 0, now, 0, 0 } end
else
  if not phase then return { 'GONE', 0, now, 0, 0 } end
  if phase ~= 'open' then return { 'CLOSED', 0, now, 0, 0 } end
  if redis.call('GETBIT', KEYS[3], ARGV[1]) == 1 then return { 'ALREADY', 0, now, 0, 0 } end
  if redis.call('HEXISTS', KEYS[4], '#size') == 0 then return { 'GONE', 0, now, 0, 0 } end
  local open = 0
  -- Whoever had it before has handed documents off, and did not come to say that the job is done.
  local left = redis.call('HGET', KEYS[7], 'left')
  for place in string.gmatch(ARGV[2], '%d+') do
    if has_left(left, place) or redis.call('HEXISTS', KEYS[4], place) == 1 then settled[#settled + 1] = tonumber(place) else open = open + 1 end
  end
  if open == 0 then return { 'ALREADY', 0, now, 0, 0 } end
  -- Also of what waits on elsewhere, and comes back to this tag: a tenant is not given that twice.
  local ends = tonumber(ARGV[3]) + #settled + open
  if ends > tonumber(taken or 0) then redis.call('HSET', KEYS[5], taken_of, ends) end
end
if paused == '1' then return { 'PAUSED', 0, now, 0, 0 } end
local answer = may_ask(KEYS[6], now, ARGV)
if answer[1] == 'GO' or answer[1] == 'PROBE' then
  answer[6] = take_up(KEYS[7], now, ARGV[11])
  answer[7] = broke_together(KEYS[8], ARGV[12], ARGV[13], ARGV[14])
  answer[8] = settled
  answer[9] = rules_version or ''
end
return answer
