-- A document's draft was accepted, and the expert is to be asked about it too: behind all that waits in its queue now. So
-- many audits wait in a queue at most, and so many of a batch; one is let in however large it is.
-- KEYS: epoch, batch, audits of the tier, start tags, prioritized
-- ARGV: job, batch and a hyphen, bytes, most audits, most of a batch, most bytes, highest tag
-- Returns: {GO | ALREADY (it is to be asked) | FULL | CLOSED | RECOVERING, tag}
if recovering(KEYS[1]) then return { 'RECOVERING', 0 } end
if redis.call('HGET', KEYS[2], 'phase') ~= 'open' then return { 'CLOSED', 0 } end
if redis.call('HEXISTS', KEYS[3], ARGV[1]) == 1 then return { 'ALREADY', 0 } end
local waiting = redis.call('HGETALL', KEYS[3])
local own, bytes = 0, 0
for i = 1, #waiting, 2 do
  if string.sub(waiting[i], 1, #ARGV[2]) == ARGV[2] then own = own + 1 end
  bytes = bytes + tonumber(waiting[i + 1])
end
local is_full = #waiting / 2 >= tonumber(ARGV[4]) or own >= tonumber(ARGV[5])
if is_full or (bytes > 0 and bytes + ARGV[3] > tonumber(ARGV[6])) then return { 'FULL', 0 } end
redis.call('HSET', KEYS[3], ARGV[1], ARGV[3])
local last = redis.call('ZREVRANGE', KEYS[5], 0, 0, 'WITHSCORES')
local behind = last[2] and math.floor(tonumber(last[2]) / 0x100000000) or 0
local now = tonumber(redis.call('HGET', KEYS[4], '#now') or 0)
return { 'GO', math.min(math.max(behind, now) + 1, tonumber(ARGV[7])) }
