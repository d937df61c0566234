-- Which enqueued documents of a page have neither a result nor a job in any state of any queue. What is left of a job that
-- no list or set of its queue names is removed: nobody would ever take it, and its id keeps a new one out.
-- KEYS: sealed, page   ARGV: page, batch, first document, enqueued documents of the page, queue key, ...
-- Returns: places in the page
if redis.call('GETBIT', KEYS[1], ARGV[1]) == 1 then return {} end

local function is_in(queue, id)
  for _, set in ipairs({ ':prioritized', ':delayed' }) do
    if redis.call('ZSCORE', queue .. set, id) then return true end
  end
  for _, list in ipairs({ ':active', ':wait', ':paused' }) do
    if redis.call('LPOS', queue .. list, id) then return true end
  end
  return false
end

local function has_job(id)
  local found = false
  for i = 6, #ARGV do
    local job = ARGV[i] .. ':' .. id
    if redis.call('EXISTS', job) == 1 then
      if is_in(ARGV[i], id) then found = true else redis.call('DEL', job, job .. ':lock') end
    end
  end
  return found
end

local lost, results = {}, 0
for place = 0, tonumber(ARGV[4]) - 1 do
  if redis.call('HEXISTS', KEYS[2], place) == 1 then
    results = results + 1
  else
    local id = ARGV[2] .. '-' .. string.format('%d', tonumber(ARGV[3]) + place)
    if not has_job(id) then table.insert(lost, place) end
  end
end
if results == tonumber(redis.call('HGET', KEYS[2], '#size')) then redis.call('SADD', KEYS[3], ARGV[5]) end
return lost
