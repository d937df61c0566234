-- Keeps what a model server said first, by the counter of the reason that it explains: a batch has so many texts.
local function keep_said(batch, counter, text, most)
  if redis.call('HEXISTS', batch, 'said:' .. counter) == 1 then return end
  if tonumber(redis.call('HGET', batch, 'texts') or 0) >= tonumber(most) then return end
  redis.call('HINCRBY', batch, 'texts', 1)
  redis.call('HSET', batch, 'said:' .. counter, text)
end
