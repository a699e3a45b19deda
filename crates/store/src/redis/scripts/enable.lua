-- Lifts it. KEYS: records, their order. ARGV: field. Gives 1 if it was disabled.
redis.call('ZREM', KEYS[2], ARGV[1])
return redis.call('HDEL', KEYS[1], ARGV[1])
