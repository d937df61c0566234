-- Enqueues a page: takes its capacity and makes it able to take results.
-- KEYS: epoch, batch, sealed, page, in-flight   ARGV: page, documents, input bytes, member
-- Returns: ENQUEUED | AGAIN (it was enqueued before, and its documents may have jobs) | SEALED | CLOSED | RECOVERING
if recovering(KEYS[1]) then return 'RECOVERING' end
if redis.call('HGET', KEYS[2], 'phase') ~= 'open' then return 'CLOSED' end
if redis.call('GETBIT', KEYS[3], ARGV[1]) == 1 then return 'SEALED' end
-- Each by itself: a cut append-only file may have kept one of the two.
redis.call('HSETNX', KEYS[5], ARGV[4], ARGV[3])
local is_new = redis.call('HSETNX', KEYS[4], '#size', ARGV[2]) == 1
return is_new and 'ENQUEUED' or 'AGAIN'
