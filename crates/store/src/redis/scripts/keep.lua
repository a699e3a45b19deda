-- Keeps a record, in place of what was kept under its id before.
-- KEYS: record, expiry list. ARGV: name in the list, expires_at, then fields and values.
redis.call('HSET', KEYS[1], 'expires_at', ARGV[2], unpack(ARGV, 3))
expires(KEYS[1], KEYS[2], ARGV[1], ARGV[2])
return 1
