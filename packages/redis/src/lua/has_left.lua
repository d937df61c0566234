-- Whether a document has left its job for another one: `left` are the places of those that have, with commas between.
local function has_left(left, place)
  return left and string.find(',' .. left .. ',', ',' .. place .. ',', 1, true) ~= nil
end
