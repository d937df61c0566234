-- Adds a job to a queue by BullMQ's own script, which stands before this as a function; one of that id stays as it is.
-- keys: marker, meta, id, prioritized, delayed, completed, active, events, pc   prefix: of the queue's jobs
-- job: id, name, data   how: options as JSON, now, priority
local function add_job(keys, prefix, job, how)
  local options = cjson.decode(how[1])
  options.jobId, options.priority = job[1], how[3]
  add_prioritized_job(keys, { cmsgpack.pack({ prefix, job[1], job[2], how[2] }), job[3], cmsgpack.pack(options) })
end
