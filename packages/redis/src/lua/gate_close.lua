-- A call says that its tier's model server is down or asks to wait: no worker asks it for a while. Calls that were under
-- way together are one closing, for the longest time that any of them was told; a call that tried the server after it
-- closes it anew, for longer. What a call says that began before the gate last opened is of the past.
-- KEYS: gate   ARGV: reason, ms since the call began, ms that the server asked for or '', ms to keep it, then the ms to
-- wait for the first, the second, ... closing in a row
-- Returns: {ms until it may be tried, the number of this closing in a row, or 0}; {0, 0}: it stays open
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local begun = now - ARGV[2]
local known = redis.call('HMGET', KEYS[1], 'opened', 'closed', 'until', 'closings', 'told')
local opened, tried, told = tonumber(known[1] or 0), tonumber(known[3] or 0), tonumber(ARGV[3])
-- After a failover the clock may be another one.
if begun < opened and opened <= now then return { 0, 0 } end
press_on(KEYS[1])
local closings = 0
if now >= tried and begun >= tonumber(known[2] or 0) then
  closings = math.min(tonumber(known[4] or 0) + 1, #ARGV - 4)
  tried = now + math.max(told or 0, tonumber(ARGV[told and 5 or 4 + closings]))
  redis.call('HSET', KEYS[1], 'closed', now, 'closings', closings, 'reason', ARGV[1])
elseif told then
  tried = math.max(tried, now + told)
end
redis.call('HDEL', KEYS[1], 'trying')
redis.call('HSET', KEYS[1], 'until', tried)
if told then redis.call('HSET', KEYS[1], 'told', math.max(tonumber(known[5] or 0), now + told)) end
redis.call('PEXPIRE', KEYS[1], math.max(0, tried - now) + ARGV[4])
return { math.max(1, tried - now), closings }
