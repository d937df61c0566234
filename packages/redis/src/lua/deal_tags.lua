-- Moves jobs that wait in a queue to other start tags, as far as they still stand where they were seen.
-- KEYS: start_tags, prioritized   ARGV: prefix of the queue's jobs, then for each: id, score that it had, score
-- Returns: how many moved
press_on(KEYS[1])
local moved = 0
for i = 2, #ARGV, 3 do
  local data = ARGV[1] .. ARGV[i]
  local had = redis.call('ZSCORE', KEYS[2], ARGV[i])
  if had and tonumber(had) == tonumber(ARGV[i + 1]) and redis.call('HEXISTS', data, 'priority') == 1 then
    redis.call('ZADD', KEYS[2], ARGV[i + 2], ARGV[i])
    redis.call('HSET', data, 'priority', math.floor(tonumber(ARGV[i + 2]) / 0x100000000))
    moved = moved + 1
  end
end
return moved
