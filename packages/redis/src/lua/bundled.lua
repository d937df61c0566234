-- The bundle of a queue that begins with a document: its job's id, and the places of the documents that it still is to
-- have; null where there is none. The name of such a job says which documents it was made of, `left` which have gone.
local function bundle_at(queue, batch, document)
  local id = batch .. '-' .. string.format('%d', document) .. 'b'
  local job = redis.call('HMGET', queue .. ':' .. id, 'name', 'left')
  if not job[1] then return nil, nil end
  local left, places = {}, {}
  for place in string.gmatch(job[2] or '', '%d+') do left[tonumber(place)] = true end
  for place in string.gmatch(job[1], '%d+') do
    if not left[tonumber(place)] then places[#places + 1] = tonumber(place) end
  end
  return id, places
end
