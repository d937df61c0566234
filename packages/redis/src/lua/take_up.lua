-- Notes on a job when it was taken up, and how often a worker was lost that had it. Returns when it was taken up by one
-- that was lost since; 0: by none.
local function take_up(job, now, losses)
  if redis.call('EXISTS', job) == 0 then return 0 end
  local at, known = string.match(redis.call('HGET', job, 'taken') or '', '(%d+) (%d+)')
  local since = known and tonumber(losses) > tonumber(known) and tonumber(at) or 0
  redis.call('HSET', job, 'taken', string.format('%d %d', since > 0 and since or now, losses))
  return since
end
