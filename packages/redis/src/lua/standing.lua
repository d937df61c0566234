-- The jobs of a queue that wait, from one place to another, next one first: id, score, how many documents each has.
-- KEYS: prioritized   ARGV: prefix of the queue's jobs, from, to
-- Returns: id, score, documents, ...
local found = {}
local jobs = redis.call('ZRANGE', KEYS[1], ARGV[2], ARGV[3], 'WITHSCORES')
for i = 1, #jobs, 2 do
  local places = string.sub(jobs[i], -1) == 'b' and redis.call('HGET', ARGV[1] .. jobs[i], 'name') or ''
  found[#found + 1] = jobs[i]
  found[#found + 1] = jobs[i + 1]
  found[#found + 1] = 1 + select(2, string.gsub(places, ',', ''))
end
return found
