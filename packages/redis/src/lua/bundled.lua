-- The bundle of a queue that begins with a document: its job's id, and the places of the documents that it still is to
-- have; null where there is none. The name of such a job says which documents it was made of, `left` which have gone.
local function bundle_at(queue, batch, document)
  local id = batch .. '-' .. string.format('%d', document) .. 'b'
  local name, left = unpack(redis.call('HMGET', queue .. ':' .. id, 'name', 'left'))
  if not name then return nil, nil end
  local places = {}
  for place in string.gmatch(name, '%d+') do
    if not has_left(left, place) then places[#places + 1] = tonumber(place) end
  end
  return id, places
end
