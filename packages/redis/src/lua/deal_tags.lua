-- Moves jobs that wait in a queue to other start tags, as far as they still stand where they were seen.
-- KEYS: start_tags, prioritized   ARGV: prefix of the queue's jobs, then for each: id, score that it had, score
-- Returns: how many moved
press_on(KEYS[1])
local moved = 0
for i = 2, #ARGV, 3 do
  if move_job(KEYS[2], ARGV[1] .. ARGV[i], ARGV[i], ARGV[i + 1], ARGV[i + 2]) then moved = moved + 1 end
end
return moved
