-- Which enqueued documents of a page have neither a result nor a job in any state of any queue. What is left of a job that
-- no list or set of its queue names is removed: nobody would ever take it, and its id keeps a new one out. A page with every
-- result is full, also where Redis lost that somebody noted it.
-- KEYS: sealed, page, full   ARGV: page, batch, first document, enqueued documents of the page, member, queue key, ...
-- Returns: places in the page
if redis.call('GETBIT', KEYS[1], ARGV[1]) == 1 then return {} end

local function is_in(queue, id)
  for _, set in ipairs({ ':prioritized', ':delayed' }) do
    if redis.call('ZSCORE', queue .. set, id) then return true end
  end
  for _, list in ipairs({ ':active', ':wait', ':paused' }) do
    if redis.call('LPOS', queue .. list, id) then return true end
  end
  redis.call('DEL', queue .. ':' .. id, queue .. ':' .. id .. ':lock')
  return false
end

local first, last, has_job = tonumber(ARGV[3]), tonumber(ARGV[4]) - 1, {}
for i = 6, #ARGV do
  for place = 0, last do
    local id = ARGV[2] .. '-' .. string.format('%d', first + place)
    if redis.call('EXISTS', ARGV[i] .. ':' .. id) == 1 and is_in(ARGV[i], id) then has_job[place] = true end
    local bundle, places = bundle_at(ARGV[i], ARGV[2], first + place)
    if bundle and is_in(ARGV[i], bundle) then
      for _, one in ipairs(places) do has_job[one] = true end
    end
  end
end

local lost, results = {}, 0
for place = 0, last do
  if redis.call('HEXISTS', KEYS[2], place) == 1 then results = results + 1
  elseif not has_job[place] then table.insert(lost, place) end
end
if results == tonumber(redis.call('HGET', KEYS[2], '#size')) then redis.call('SADD', KEYS[3], ARGV[5]) end
return lost
