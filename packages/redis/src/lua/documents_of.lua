-- How many documents a job of a queue has: the name of a bundle says which. `jobs` is what stands before the ids in keys.
local function documents_of(jobs, id)
  local places = string.sub(id, -1) == 'b' and redis.call('HGET', jobs .. id, 'name') or ''
  return 1 + select(2, string.gsub(places, ',', ''))
end
