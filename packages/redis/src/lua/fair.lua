-- Start tags of a queue, which become job priorities: start-time fair queueing over tenants, then over a tenant's batches.
-- A flow's next documents follow its last ones, but begin no earlier than the queue's present (`#now`). Of a tenant with
-- n batches in the queue the n-th takes every n-th tag: batches that come and go as others do share what one would get.
-- Of many batches that come at once the tenant has more than its share until their tags are passed, 1 + 1/2 + ... + 1/n of
-- it, or until the dispatcher has dealt them anew (see precedence.ts). However slow a batch is among many that are soon
-- done, no document stands behind where its tenant's documents would end in one row.
-- `start_tags` holds the present, each tenant's last tag in such a row, and where what it was given ends (see
-- taken_field.lua), `start_tags:<tenant>` the last tags of its batches. An empty queue starts anew, unless a job that comes back would find its tag far behind everybody's.
local function forget_tags(start_tags)
  for _, tenant in ipairs(redis.call('HKEYS', start_tags)) do redis.call('DEL', batches_of(start_tags, tenant)) end
  redis.call('DEL', start_tags)
end

-- About how many documents a queue has: of its jobs, each of which may hold several, some are looked at.
local LOOKED_AT = 16
local function documents_in(prioritized, delayed, active, jobs)
  local waiting = redis.call('ZCARD', prioritized)
  local length = waiting + redis.call('ZCARD', delayed) + redis.call('LLEN', active)
  local looked_at = math.min(waiting, LOOKED_AT)
  local documents = 0
  for at = 1, looked_at do
    local place = looked_at == 1 and 0 or math.floor((at - 1) * (waiting - 1) / (looked_at - 1))
    local id = redis.call('ZRANGE', prioritized, place, place)[1]
    documents = documents + documents_of(jobs, id)
  end
  return looked_at == 0 and length or math.ceil(length * documents / looked_at)
end

-- Takes tags for `count` documents of a batch. Of these three numbers the i-th document's tag is made, from 0: the lesser
-- of `own + i * step` and `row + i`.
local function take_tags(queue, tenant, batch, count, highest)
  local start_tags, prioritized, delayed, active, jobs = unpack(queue)
  local length = documents_in(prioritized, delayed, active, jobs)
  if length == 0 then forget_tags(start_tags) end
  local batches = batches_of(start_tags, tenant)
  local have = redis.call('HMGET', start_tags, '#now', tenant)
  local now = tonumber(have[1] or 0)
  local last = tonumber(redis.call('ZSCORE', batches, batch) or 0)
  redis.call('ZREMRANGEBYSCORE', batches, '-inf', now)
  local step = redis.call('ZCARD', batches) + (last > now and 0 or 1)
  local own = math.max(now, last) + step
  -- A tenant that was served more than its share for a while need not make up for more than what waits.
  local row = math.min(math.max(now, tonumber(have[2] or 0)), now + length) + 1
  local function last_tag() return math.min(own + (count - 1) * step, row + count - 1) end
  if last_tag() > highest then
    local by = move_down(start_tags, prioritized, delayed, active, jobs)
    own, row = own - by, row - by
  end
  redis.call('ZADD', batches, math.min(last_tag(), highest), batch)
  redis.call('HSET', start_tags, tenant, math.min(row + count - 1, highest))
  return own, step, row
end
