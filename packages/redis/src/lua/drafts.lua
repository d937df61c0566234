-- Counts a stage's first drafts of a batch by the reasons of their escalation, until one of them could be judged.
-- `reason` is empty for one that was; `said` is what the server said in an error, or empty.
-- Returns: 1 when this was the last one of so many, none could be judged, and nobody has told of the tier; else 0
local function count_draft(batch, stage, tier, reason, said, first, least)
  local field = 'drafts:' .. stage
  local known = redis.call('HGET', batch, field)
  if known == 'over' then return 0 end
  if reason == '' or tonumber(redis.call('HGET', batch, stage .. '/accepted') or 0) > 0 then
    redis.call('HSET', batch, field, 'over')
    return 0
  end
  local drafts = tonumber(known or 0) + 1
  redis.call('HSET', batch, field, drafts)
  redis.call('HINCRBY', batch, field .. ':' .. reason, 1)
  if said ~= '' then redis.call('HSETNX', batch, field .. '#said', said) end
  local total = tonumber(redis.call('HGET', batch, 'total') or 0)
  if drafts < math.max(tonumber(least), math.min(tonumber(first), total)) then return 0 end
  redis.call('HSET', batch, field, 'over')
  return redis.call('HSETNX', batch, 'told:' .. tier, stage)
end
