-- Moves a job that waits in a queue to another place, if it still stands where it was seen. `data` is its key.
local function move_job(prioritized, data, id, seen, score)
  local had = redis.call('ZSCORE', prioritized, id)
  if not had or tonumber(had) ~= tonumber(seen) or redis.call('HEXISTS', data, 'priority') == 0 then return false end
  redis.call('ZADD', prioritized, score, id)
  redis.call('HSET', data, 'priority', math.floor(tonumber(score) / 0x100000000))
  return true
end
