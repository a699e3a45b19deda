-- Ends one record, and forgets when it would have expired.
-- KEYS: record, expiry list. ARGV: name in the list. Gives 1 if it was there.
redis.call('ZREM', KEYS[2], ARGV[1])
return redis.call('DEL', KEYS[1])
