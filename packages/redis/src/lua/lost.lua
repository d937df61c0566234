-- Which enqueued documents of a page have neither a result nor a job in any queue.
-- KEYS: sealed, page   ARGV: page, batch, first document, enqueued documents of the page, queue key, ...
-- Returns: places in the page
if redis.call('GETBIT', KEYS[1], ARGV[1]) == 1 then return {} end
local found = {}
for place = 0, tonumber(ARGV[4]) - 1 do
  if redis.call('HEXISTS', KEYS[2], place) == 0 then
    local job = ':' .. ARGV[2] .. '-' .. string.format('%d', tonumber(ARGV[3]) + place)
    local there = 0
    for i = 5, #ARGV do there = there + redis.call('EXISTS', ARGV[i] .. job) end
    if there == 0 then table.insert(found, place) end
  end
end
return found
