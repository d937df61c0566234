-- The same for jobs of one tenant that are to stand one behind the other: what it has enqueued later stands behind them.
-- KEYS: start_tags, prioritized   ARGV: prefix of the queue's jobs, tenant, then for each: id, score that it had, score, its
-- batch, the tag of its last document
-- Returns: how many moved
press_on(KEYS[1])
local batches = KEYS[1] .. ':' .. ARGV[2]
local row = tonumber(redis.call('HGET', KEYS[1], ARGV[2]) or 0)
local moved, last = 0, {}
for i = 3, #ARGV, 5 do
  if move_job(KEYS[2], ARGV[1] .. ARGV[i], ARGV[i], ARGV[i + 1], ARGV[i + 2]) then
    moved = moved + 1
    row = math.max(row, tonumber(ARGV[i + 4]))
    last[ARGV[i + 3]] = math.max(last[ARGV[i + 3]] or 0, tonumber(ARGV[i + 4]))
  end
end
for batch, tag in pairs(last) do redis.call('ZADD', batches, 'GT', tag, batch) end
if moved > 0 then redis.call('HSET', KEYS[1], ARGV[2], row) end
return moved
