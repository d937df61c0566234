-- Charges an escalated draft's bytes to its page, and counts it among the first ones of its stage in the batch.
-- args: draft's bytes, stage, its tier, the reason if it could not be judged, what the server said in an error, first
-- drafts of a batch, at least, the counter of its reason, what the server said of it or '', texts of a batch
-- Returns: 1 when none of the stage's first drafts could be judged
local function charge_draft(batch, in_flight, member, args)
  local bytes, stage, tier, reason, said, first, least, counter, text, texts = unpack(args)
  redis.call('HINCRBY', in_flight, member, bytes)
  if text ~= '' then keep_said(batch, counter, text, texts) end
  return count_draft(batch, stage, tier, reason, said, first, least)
end
