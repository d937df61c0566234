-- A section of what the node that holds our keys tells of itself: a Cluster's client sends what has no key to any node.
-- KEYS: any of ours   ARGV: section   Returns: its text
return redis.call('INFO', ARGV[1])
