-- Ends a batch: the one compare-and-set that stops it from taking results.
-- KEYS: epoch, batch   ARGV: outcome, closed channel, wake channel, id
-- Returns: {CLOSED | ALREADY | REFUSED | GONE | RECOVERING, outcome, closedAtMs}
if recovering(KEYS[1]) then return { 'RECOVERING' } end
local phase = redis.call('HGET', KEYS[2], 'phase')
if not phase then return { 'GONE' } end
if phase == 'closed' then
  return { 'ALREADY', redis.call('HGET', KEYS[2], 'outcome'), redis.call('HGET', KEYS[2], 'closedAtMs') }
end
if ARGV[1] == 'failed' and phase ~= 'validating' then return { 'REFUSED' } end
if ARGV[1] == 'completed' then
  local n = redis.call('HMGET', KEYS[2], 'total', 'completed', 'failed')
  if phase ~= 'open' or tonumber(n[1]) ~= tonumber(n[2] or 0) + tonumber(n[3] or 0) then return { 'REFUSED' } end
end
local time = redis.call('TIME')
local now = time[1] .. string.format('%03d', math.floor(tonumber(time[2]) / 1000))
press_on(KEYS[2])
redis.call('HSET', KEYS[2], 'phase', 'closed', 'outcome', ARGV[1], 'closedAtMs', now)
redis.call('PUBLISH', ARGV[2], ARGV[4] .. ' ' .. ARGV[1])
redis.call('PUBLISH', ARGV[3], ARGV[4])
return { 'CLOSED', ARGV[1], now }
