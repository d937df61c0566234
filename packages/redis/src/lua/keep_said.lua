-- Keeps what model servers said first, as storage knows it, unless Redis has it already or has forgotten the batch.
-- KEYS: batch   ARGV: texts of a batch, counter, text, ...
if redis.call('EXISTS', KEYS[1]) == 0 then return end
for i = 2, #ARGV, 2 do keep_said(KEYS[1], ARGV[i], ARGV[i + 1], ARGV[1]) end
