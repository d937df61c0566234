-- Takes tags in a queue for documents of one batch.
-- KEYS: start_tags, prioritized, delayed, active   ARGV: batch, how many, highest, prefix of the queue's jobs
-- Returns: the first tag; the others follow it, none above the highest
press_on(KEYS[1])
return take_tags(KEYS[1], KEYS[2], KEYS[3], KEYS[4], ARGV[4], ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]))
