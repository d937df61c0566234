-- Takes tags in a queue for documents of one batch.
-- KEYS: start_tags, prioritized, delayed, active
-- ARGV: prefix of the queue's jobs, tenant, batch, how many, highest
-- Returns: {own, step, row}, of which fair.lua says what they are
press_on(KEYS[1])
local queue = { KEYS[1], KEYS[2], KEYS[3], KEYS[4], ARGV[1] }
return { take_tags(queue, ARGV[2], ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5])) }
