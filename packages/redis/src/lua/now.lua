-- The clock of the node that holds our keys.
-- KEYS: any of ours   Returns: seconds, microseconds
return redis.call('TIME')
