-- A call says that its tier's model server is down or asks to wait: no worker asks it for a while. Calls that were under
-- way together are one opening, for the longest time that any of them was asked for; a call that probed the server after
-- it opens the breaker anew, for longer. What a call says that began before the breaker last closed is of the past.
-- KEYS: breaker   ARGV: reason, ms since the call began, ms that the server asked for or '', ms to keep it, then the ms to
-- wait for the first, the second, ... opening in a row
-- Returns: {ms until it may be probed, the number of this opening in a row, or 0}; {0, 0}: it stays closed
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local begun = now - ARGV[2]
local known = redis.call('HMGET', KEYS[1], 'closedAt', 'openedAt', 'until', 'openings', 'askedUntil')
local closedAt, untilMs, asked = tonumber(known[1] or 0), tonumber(known[3] or 0), tonumber(ARGV[3])
-- After a failover the clock may be another one.
if begun < closedAt and closedAt <= now then return { 0, 0 } end
press_on(KEYS[1])
local openings = 0
if now >= untilMs and begun >= tonumber(known[2] or 0) then
  openings = math.min(tonumber(known[4] or 0) + 1, #ARGV - 4)
  untilMs = now + math.max(asked or 0, tonumber(ARGV[asked and 5 or 4 + openings]))
  redis.call('HSET', KEYS[1], 'openedAt', now, 'openings', openings, 'reason', ARGV[1])
elseif asked then
  untilMs = math.max(untilMs, now + asked)
end
redis.call('HDEL', KEYS[1], 'probingUntil')
redis.call('HSET', KEYS[1], 'until', untilMs)
if asked then redis.call('HSET', KEYS[1], 'askedUntil', math.max(tonumber(known[5] or 0), now + asked)) end
redis.call('PEXPIRE', KEYS[1], math.max(0, untilMs - now) + ARGV[4])
return { math.max(1, untilMs - now), openings }
