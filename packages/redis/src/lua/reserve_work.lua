-- Notes that a tenant is about to have one batch more in work, before that is written down anywhere: those that come later
-- count it, those that came before do not. Asked again, it keeps its place as long as its lease runs.
-- KEYS: epoch, work   ARGV: batch, token, documents, ms of the lease, ms that what is known of the tenant may be old
-- Returns: {RESERVED, place, what was noted, batches of the tenant, this one included} | {UNKNOWN} | {RECOVERING}
if recovering(KEYS[1]) then return { 'RECOVERING' } end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if now - tonumber(redis.call('HGET', KEYS[2], '@known') or 0) > tonumber(ARGV[5]) then return { 'UNKNOWN' } end
local place, ends = string.match(redis.call('HGET', KEYS[2], ARGV[1]) or '', '^(%d+) (%d+)')
if not place or tonumber(ends) <= now then place = redis.call('HINCRBY', KEYS[2], '@place', 1) end
local noted = string.format('%d %d %d %s', tonumber(place), now + tonumber(ARGV[4]), tonumber(ARGV[3]), ARGV[2])
redis.call('HSET', KEYS[2], ARGV[1], noted)
redis.call('PEXPIRE', KEYS[2], ARGV[5])
return { 'RESERVED', tonumber(place), noted, redis.call('HLEN', KEYS[2]) - 2 }
