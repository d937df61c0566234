-- Notes how many bytes a tenant is about to store as a file, unless with all else that is too much: what stood in storage
-- when it was read, what is being stored now, and what was stored since that reading.
-- KEYS: bytes
-- ARGV: file, bytes, most, bytes that stood, when that was read, ms of the lease, ms that a reading may be old
-- Returns: RESERVED | REFUSED | STALE (the reading is too old)
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local read, old = tonumber(ARGV[5]), tonumber(ARGV[7])
if now - read > old then return 'STALE' end
local sum = tonumber(ARGV[4]) + tonumber(ARGV[2])
local noted = redis.call('HGETALL', KEYS[1])
for i = 1, #noted, 2 do
  local bytes, ends, stored = string.match(noted[i + 1], '^(%d+) (%d+) (%d+)$')
  bytes, ends, stored = tonumber(bytes), tonumber(ends), tonumber(stored)
  if stored > 0 and now - stored > 2 * old or stored == 0 and ends <= now then
    redis.call('HDEL', KEYS[1], noted[i])
  elseif noted[i] ~= ARGV[1] and (stored == 0 or stored >= read) then
    sum = sum + bytes
  end
end
if sum > tonumber(ARGV[3]) then return 'REFUSED' end
redis.call('HSET', KEYS[1], ARGV[1], string.format('%d %d 0', tonumber(ARGV[2]), now + tonumber(ARGV[6])))
redis.call('PEXPIRE', KEYS[1], 4 * old)
return 'RESERVED'
