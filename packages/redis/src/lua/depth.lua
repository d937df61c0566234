-- How many documents a queue has, by state. Of a state with more jobs than are looked at it is an estimate.
-- KEYS: prioritized, wait, delayed, active   ARGV: jobs (their keys without the id), most jobs that are looked at
-- Returns: {waiting, delayed, active}
local function sum_of(ids)
  local documents = 0
  for _, id in ipairs(ids) do documents = documents + documents_of(ARGV[1], id) end
  return documents
end
local RUNS = 64
local function count(length, range)
  local most = tonumber(ARGV[2])
  if length <= most then return sum_of(range(0, -1)) end
  local jobs = math.floor(most / RUNS)
  local seen = 0
  for run = 0, RUNS - 1 do
    local from = math.floor(run * (length - jobs) / (RUNS - 1))
    seen = seen + sum_of(range(from, from + jobs - 1))
  end
  return math.floor(length * seen / (RUNS * jobs) + 0.5)
end
local function of_set(key)
  return count(redis.call('ZCARD', key), function(from, to) return redis.call('ZRANGE', key, from, to) end)
end
local function of_list(key)
  return count(redis.call('LLEN', key), function(from, to) return redis.call('LRANGE', key, from, to) end)
end
return { of_set(KEYS[1]) + of_list(KEYS[2]), of_set(KEYS[3]), of_list(KEYS[4]) }
