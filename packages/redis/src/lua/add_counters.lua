-- What counters of a hash will be when these are added: names and sums, as HSET takes them. As many commands for one as for
-- twenty.
-- counters: name, increment, ...; `prefix` stands before the names of the fields
local function add_counters(hash, prefix, counters)
  local fields, sums = {}, {}
  for i = 1, #counters, 2 do fields[#fields + 1] = prefix .. counters[i] end
  if #fields == 0 then return sums end
  for i, known in ipairs(redis.call('HMGET', hash, unpack(fields))) do
    sums[#sums + 1] = fields[i]
    sums[#sums + 1] = string.format('%.0f', tonumber(known or 0) + tonumber(counters[2 * i]))
  end
  return sums
end
