-- Notes a client's use, if it is kept here. KEYS: client, list of unused ones, the same by address: counts, members. ARGV: id, now.
if redis.call('EXISTS', KEYS[1]) == 1 then
  redis.call('HSET', KEYS[1], 'last_used_at', ARGV[2])
  redis.call('ZREM', KEYS[2], ARGV[1])
  no_longer_unused(KEYS[1], KEYS[3], KEYS[4])
end
return 1
