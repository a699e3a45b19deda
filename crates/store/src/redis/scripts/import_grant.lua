-- Keeps a grant of a backup, without tokens yet. No gateway uses the store meanwhile.
-- KEYS: grant, expiry list, list of grants. ARGV: grant id, rank of the grant, its name in the expiry list, when its last token ends,
-- number of its fields and values, these.
redis.call('HSET', KEYS[1], unpack(ARGV, 6, 5 + tonumber(ARGV[5])))
redis.call('HSET', KEYS[1], 'tokens_until', ARGV[4])
redis.call('ZADD', KEYS[3], ARGV[2], ARGV[1])
keep_until(KEYS[3], ARGV[4])
expires(KEYS[1], KEYS[2], ARGV[3], ARGV[4])
return 1
