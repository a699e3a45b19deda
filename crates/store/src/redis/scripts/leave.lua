-- A node stops.
-- KEYS: nodes by when they end, their URLs. ARGV: node. Gives 1 if it was there.
redis.call('HDEL', KEYS[2], ARGV[1])
return redis.call('ZREM', KEYS[1], ARGV[1])
