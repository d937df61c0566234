-- The jobs of a queue that wait, from one place to another, next one first: id, score, how many documents each has.
-- KEYS: start_tags, prioritized   ARGV: prefix of the queue's jobs, from, to, then tenants
-- Returns: the queue's present, where what each tenant was given ends, or -1, then id, score, documents, ...
local found = { tonumber(redis.call('HGET', KEYS[1], '#now') or 0) }
for i = 4, #ARGV do found[#found + 1] = tonumber(redis.call('HGET', KEYS[1], taken_field(ARGV[i])) or -1) end
local jobs = redis.call('ZRANGE', KEYS[2], ARGV[2], ARGV[3], 'WITHSCORES')
for i = 1, #jobs, 2 do
  found[#found + 1] = jobs[i]
  found[#found + 1] = jobs[i + 1]
  found[#found + 1] = documents_of(ARGV[1], jobs[i])
end
return found
