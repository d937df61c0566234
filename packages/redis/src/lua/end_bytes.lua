-- A file that was being stored stands in storage now, or is not to be. One that stands is noted for a while yet: whoever
-- read the storage before does not know of it.
-- KEYS: bytes   ARGV: file, '1' if it stands
local noted = redis.call('HGET', KEYS[1], ARGV[1])
if not noted then return end
if ARGV[2] ~= '1' then return redis.call('HDEL', KEYS[1], ARGV[1]) end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('HSET', KEYS[1], ARGV[1], string.format('%d 0 %d', tonumber(string.match(noted, '^%d+')), now))
