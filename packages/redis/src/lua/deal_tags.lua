-- Deals the start tags that a tenant has in a queue anew among its jobs there: those of batches with precedence get the
-- least ones. The tags stay the tenant's, whatever batch has them, so that what other tenants have coming stays.
-- KEYS: start_tags, prioritized
-- ARGV: prefix of the queue's jobs, then for each tenant: how many of its batches have precedence, how many it has in
-- all, and their ids, those with precedence first
-- Returns: how many jobs have another tag
press_on(KEYS[1])
local flows, tenants = {}, {}
local at = 2
while at < #ARGV do
  local first, all = tonumber(ARGV[at]), tonumber(ARGV[at + 1])
  local own = { jobs = {}, scores = {} }
  tenants[#tenants + 1] = own
  for i = 1, all do flows[ARGV[at + 1 + i]] = { rank = math.min(i, first + 1), own = own } end
  at = at + 2 + all
end
local waiting = redis.call('ZRANGE', KEYS[2], 0, -1, 'WITHSCORES')
for i = 1, #waiting, 2 do
  local flow = flows[string.match(waiting[i], '^(.*)%-') or '']
  if flow then
    local own = flow.own
    own.scores[#own.scores + 1] = waiting[i + 1]
    own.jobs[#own.jobs + 1] = { id = waiting[i], rank = flow.rank, at = #own.scores }
  end
end
local moved = 0
for _, own in ipairs(tenants) do
  table.sort(own.jobs, function(a, b) return a.rank < b.rank or (a.rank == b.rank and a.at < b.at) end)
  for place, job in ipairs(own.jobs) do
    local data = ARGV[1] .. job.id
    if place ~= job.at and redis.call('HEXISTS', data, 'priority') == 1 then
      redis.call('ZADD', KEYS[2], own.scores[place], job.id)
      redis.call('HSET', data, 'priority', math.floor(tonumber(own.scores[place]) / 0x100000000))
      moved = moved + 1
    end
  end
end
return moved
