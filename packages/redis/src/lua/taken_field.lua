-- The field of a queue's start tags that says where what a tenant was given ends: the tag behind that of the last document
-- that was taken up.
local function taken_field(tenant) return '#taken:' .. tenant end
