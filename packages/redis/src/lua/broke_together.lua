-- 1 if the call of a document that failed at that time was broken off, and others of its tier within so many ms of it; else 0.
local function broke_together(broken, document, failed, within)
  if failed == '' or not redis.call('ZSCORE', broken, document .. ' ' .. failed) then return 0 end
  return redis.call('ZCOUNT', broken, failed - within, failed + within) > 1 and 1 or 0
end
