-- Writes an open page anew as it is, while this recovery is the one going on. An append-only file that was cut within a
-- script keeps the script's beginning, which Redis left out when it started, and adds to the next start: this undoes it.
-- KEYS: recovery, page, times   ARGV: token
-- Returns: REWRITTEN | STALE
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 'STALE' end
for i = 2, #KEYS do
  local dump = redis.call('DUMP', KEYS[i])
  press_on(KEYS[i])
  if dump then redis.call('RESTORE', KEYS[i], 0, dump, 'REPLACE') end
end
return 'REWRITTEN'
