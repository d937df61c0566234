-- A worker writes a document as changed into a field of the job that it has it from, if that is still its own: the job's
-- data, or of a bundle the field of the document.
-- KEYS: job, its lock   ARGV: token, field, document
-- Returns: SAVED | GONE (Redis lost the job, or its lock went to somebody else)
if redis.call('GET', KEYS[2]) ~= ARGV[1] or redis.call('EXISTS', KEYS[1]) == 0 then return 'GONE' end
press_on(KEYS[1])
redis.call('HSET', KEYS[1], ARGV[2], ARGV[3])
return 'SAVED'
