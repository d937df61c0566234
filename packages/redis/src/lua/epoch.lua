-- Put before every script, whose last argument it takes: the run id of the server that this connection is to, or '' where
-- nobody knows it. A connection is to one process for as long as it lasts, and asking Redis for it costs 40 µs.
local run_id = table.remove(ARGV)
-- Whether Redis lost its memory since the last recovery (wiped, restarted, failed over), or holds the state of another
-- version of Spillway: the number after the run id is raised when what stands in Redis changes (STATE_VERSION).
local function recovering(epochKey)
  if run_id == '' then run_id = string.match(redis.call('INFO', 'server'), 'run_id:(%w+)') end
  return redis.call('GET', epochKey) ~= run_id .. '.2'
end
-- At `maxmemory` Redis refuses a script's writes unless it has written before, and a removal is never refused. What
-- leads to memory becoming free (taking up, settling, sealing, closing, the lease, a recovery) must not be held up by it.
local function press_on(hash) redis.call('HDEL', hash, '') end
