-- A worker process tells of itself, by Redis' clock, and of the seconds that a document takes in its tier.
-- KEYS: tier   ARGV: worker, calls at a time, seconds per document or '', why it pauses or ''
press_on(KEYS[1])
redis.call('HSET', KEYS[1], ARGV[1], redis.call('TIME')[1] .. ' ' .. ARGV[2] .. ' ' .. ARGV[4])
if ARGV[3] ~= '' then redis.call('HSET', KEYS[1], '#seconds', ARGV[3]) end
