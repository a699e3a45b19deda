-- Guards against reviving what was taken meanwhile: only a record that is there is overwritten.
-- KEYS: record, expiry list. ARGV: name in the list, expires_at, then fields and values. Gives 1, or 0 if it is not there.
if redis.call('EXISTS', KEYS[1]) == 0 then
  return 0
end
redis.call('HSET', KEYS[1], 'expires_at', ARGV[2], unpack(ARGV, 3))
expires(KEYS[1], KEYS[2], ARGV[1], ARGV[2])
return 1
