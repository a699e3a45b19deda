-- Guards the single use of a sign-in and of a trip to a provider: of many callers one gets the record.
-- KEYS: record, expiry list. ARGV: name in the list, now.
local found = redis.call('HMGET', KEYS[1], 'expires_at', 'record')
if not found[1] or is_expired(found[1], ARGV[2]) then
  return false
end
redis.call('DEL', KEYS[1])
redis.call('ZREM', KEYS[2], ARGV[1])
return found[2]
