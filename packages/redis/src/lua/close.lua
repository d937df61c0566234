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
  if phase ~= 'open' then return { 'REFUSED' } end
  local n = redis.call('HMGET', KEYS[2], 'total', 'completed', 'failed', 'pages', 'sealedPages')
  local is_settled = tonumber(n[1]) == tonumber(n[2] or 0) + tonumber(n[3] or 0)
  -- A page of a batch that is open is sealed when its every document is settled, whatever the counters say.
  local is_sealed = tonumber(n[4] or 0) > 0 and n[4] == n[5]
  if not is_settled and not is_sealed then return { 'REFUSED' } end
end
local time = redis.call('TIME')
local now = time[1] .. string.format('%03d', math.floor(tonumber(time[2]) / 1000))
press_on(KEYS[2])
redis.call('HSET', KEYS[2], 'phase', 'closed', 'outcome', ARGV[1], 'closedAtMs', now)
redis.call('PUBLISH', ARGV[2], ARGV[4] .. ' ' .. ARGV[1])
redis.call('PUBLISH', ARGV[3], ARGV[4])
return { 'CLOSED', ARGV[1], now }
