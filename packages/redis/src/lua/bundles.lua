-- The bundles of a page that a queue has, in whatever state.
-- KEYS: any of the queue's   ARGV: queue key, batch, first document of the page, documents of the page
-- Returns: ids
local ids = {}
for place = 0, tonumber(ARGV[4]) - 1 do
  local id = bundle_at(ARGV[1], ARGV[2], tonumber(ARGV[3]) + place)
  if id then ids[#ids + 1] = id end
end
return ids
