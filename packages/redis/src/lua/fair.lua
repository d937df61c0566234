-- Start tags of a queue's flows (start-time fair queueing), which become job priorities. A batch's next documents follow
-- its last ones, but begin no earlier than the queue's present (`#now`).
-- An empty queue starts anew, unless a job that comes back would find its tag far behind everybody's.
local function first_tag(start_tags, prioritized, delayed, active, batch)
  if redis.call('ZCARD', prioritized) + redis.call('ZCARD', delayed) + redis.call('LLEN', active) == 0 then
    redis.call('DEL', start_tags)
  end
  local have = redis.call('HMGET', start_tags, '#now', batch)
  return math.max(tonumber(have[1] or 0), tonumber(have[2] or 0)) + 1
end
-- The first of `count` consecutive tags for documents of a batch.
local function take_tags(start_tags, prioritized, delayed, active, jobs, batch, count, highest)
  local first = first_tag(start_tags, prioritized, delayed, active, batch)
  if first + count - 1 > highest then first = first - move_down(start_tags, prioritized, delayed, active, jobs) end
  redis.call('HSET', start_tags, batch, math.min(first + count - 1, highest))
  return math.min(first, highest)
end
