-- A worker took a document: whether it still is to be done, and whether its model may be asked. Moves the queue's present
-- on. Through an open breaker whose time is over one call goes at a time, to probe the server.
-- KEYS: epoch, batch, sealed, page, start tags, breaker
-- ARGV: page, place, priority, ms a probe may take before another one, '1' to ask the model, ms to keep a breaker
-- Returns: {GO | PROBE | WAIT | ALREADY | CLOSED | GONE (no such batch, or its page is not enqueued) | RECOVERING, for
-- PROBE until when, for WAIT the ms; 0: until the one that probes was answered}
press_on(KEYS[5])
if tonumber(ARGV[3]) > tonumber(redis.call('HGET', KEYS[5], '#now') or 0) then
  redis.call('HSET', KEYS[5], '#now', ARGV[3])
end
if recovering(KEYS[1]) then return { 'RECOVERING', 0 } end
local phase = redis.call('HGET', KEYS[2], 'phase')
if not phase then return { 'GONE', 0 } end
if phase ~= 'open' then return { 'CLOSED', 0 } end
if redis.call('GETBIT', KEYS[3], ARGV[1]) == 1 then return { 'ALREADY', 0 } end
if redis.call('HEXISTS', KEYS[4], '#size') == 0 then return { 'GONE', 0 } end
if redis.call('HEXISTS', KEYS[4], ARGV[2]) == 1 then return { 'ALREADY', 0 } end
local breaker = redis.call('HMGET', KEYS[6], 'reason', 'until', 'probingUntil')
if not breaker[1] or ARGV[5] ~= '1' then return { 'GO', 0 } end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if now < tonumber(breaker[2]) then return { 'WAIT', breaker[2] - now } end
if now < tonumber(breaker[3] or 0) then return { 'WAIT', 0 } end
local probingUntil = now + ARGV[4]
redis.call('HSET', KEYS[6], 'probingUntil', probingUntil)
redis.call('PEXPIRE', KEYS[6], ARGV[4] + ARGV[6])
return { 'PROBE', probingUntil }
