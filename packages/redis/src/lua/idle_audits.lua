-- The audits of a tier that nobody will be asked about: their batch takes no results any more, or their job was lost.
-- KEYS: audits of the tier   ARGV: prefix of the queue's jobs, of batches
-- Returns: jobs
local idle = {}
for _, id in ipairs(redis.call('HKEYS', KEYS[1])) do
  local batch = string.match(id, '^(.*)-%d+a$') or ''
  local is_open = redis.call('HGET', ARGV[2] .. batch, 'phase') == 'open'
  if not is_open or redis.call('EXISTS', ARGV[1] .. id) == 0 then idle[#idle + 1] = id end
end
return idle
