-- Whether a model may be asked now, as far as its tier's breaker goes; ARGV and what is returned as start.lua has them.
local function may_ask(breaker, now, args)
  local fields = { 'reason', 'until', 'probingUntil', 'closedAt', 'workedAt', 'alone', 'aloneUntil' }
  local known = redis.call('HMGET', breaker, unpack(fields))
  if args[7] ~= '' then
    known[5] = math.max(tonumber(known[5] or 0), tonumber(args[10]))
    redis.call('HSET', breaker, 'answeredAt', args[7], 'workedAt', known[5])
    if not known[1] then redis.call('PEXPIRE', breaker, args[6]) end
  end
  local function answer(state, ms)
    return { state, ms, now, tonumber(known[4] or 0), tonumber(known[5] or 0) }
  end
  if args[5] ~= '1' then return answer('GO', 0) end
  if known[1] and now < tonumber(known[2]) then return answer('WAIT', known[2] - now) end
  if known[1] and now < tonumber(known[3] or 0) then return answer('WAIT', 0) end
  if args[8] ~= '' then
    if (known[6] or args[8]) ~= args[8] and now < tonumber(known[7] or 0) then return answer('ALONE', 0) end
    redis.call('HSET', breaker, 'alone', args[8], 'aloneUntil', now + args[9])
  end
  if not known[1] then return answer('GO', 0) end
  redis.call('HSET', breaker, 'probingUntil', now + args[4])
  redis.call('PEXPIRE', breaker, args[4] + args[6])
  return answer('PROBE', now + args[4])
end
