-- What an open page has counted, by counter: its fields that begin with '#', but for its size and how many are settled.
local function counters_of(page)
  local found = {}
  for _, field in ipairs(redis.call('HKEYS', page)) do
    local counter = string.match(field, '^#(.+)$')
    if counter and counter ~= 'size' and counter ~= 'done' then
      found[counter] = tonumber(redis.call('HGET', page, field))
    end
  end
  return found
end
