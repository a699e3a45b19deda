-- Guards against reviving a record that ended; a late note shortens nothing.
-- KEYS: record, expiry list. ARGV: name in the list, expires_at, now. Gives 1, or 0 if it is not there.
local kept = redis.call('HGET', KEYS[1], 'expires_at')
if not kept or is_expired(kept, ARGV[3]) then
  return 0
end
if tonumber(kept) < tonumber(ARGV[2]) then
  redis.call('HSET', KEYS[1], 'expires_at', ARGV[2])
  expires(KEYS[1], KEYS[2], ARGV[1], ARGV[2])
end
return 1
