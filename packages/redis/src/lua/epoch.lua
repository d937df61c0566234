-- Put before every script: whether Redis lost its memory since the last recovery (wiped, restarted, failed over).
local function recovering(epochKey)
  local runId = string.match(redis.call('INFO', 'server'), 'run_id:(%w+)')
  return redis.call('GET', epochKey) ~= runId
end
