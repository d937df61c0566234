-- Lists that stand in the arguments one behind the other, from a place on: a function that takes the next one, given the
-- place that says how long it is.
local function lists_from(from)
  return function(i)
    local list = { unpack(ARGV, from, from + ARGV[i] - 1) }
    from = from + ARGV[i]
    return list
  end
end
