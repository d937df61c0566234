-- A worker writes a document as changed into a field of the job that it has it from, if that is still its own.
-- Returns: SAVED | GONE (Redis lost the job, or its lock went to somebody else)
local function write_document(job, lock, token, field, document)
  if redis.call('GET', lock) ~= token or redis.call('EXISTS', job) == 0 then return 'GONE' end
  press_on(job)
  redis.call('HSET', job, field, document)
  return 'SAVED'
end
