-- What results of a page add to it, of those documents that have none yet: the first one wins.
-- args, from the `from`-th on, of each result: how many of its arguments follow; its place, the line, times or '', what is
-- kept of it or '', how many counters and what a model server said of each follow; then counter, increment, ...
-- `known` says of each, after its first `skipped`, whether its document has a result.
-- Returns: the answers, and the sum of what is new
local function read_results(args, from, known, skipped)
  local answers, seen = {}, {}
  local new = { count = 0, bytes = 0, lines = {}, times = {}, said = {}, counters = {} }
  local function add(at, last)
    local place, line, times, kept, said = unpack(args, at, at + 4)
    new.count = new.count + 1
    new.bytes = new.bytes + #line + #kept
    new.lines[#new.lines + 1] = place
    new.lines[#new.lines + 1] = line
    if kept ~= '' then
      new.lines[#new.lines + 1] = 'd' .. place
      new.lines[#new.lines + 1] = kept
    end
    if times ~= '' then
      new.times[#new.times + 1] = place
      new.times[#new.times + 1] = times
    end
    local first = at + 5 + 2 * said
    for i = at + 5, first - 1, 2 do new.said[#new.said + 1] = { args[i], args[i + 1] } end
    for i = first, last, 2 do new.counters[args[i]] = (new.counters[args[i]] or 0) + tonumber(args[i + 1]) end
  end
  while args[from] do
    local at, last = from + 1, from + args[from]
    local is_new = not known[skipped + #answers + 1] and not seen[args[at]]
    answers[#answers + 1] = is_new and 'WROTE' or 'ALREADY'
    seen[args[at]] = true
    if is_new then add(at, last) end
    from = last + 1
  end
  return answers, new
end
