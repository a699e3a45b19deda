-- Guards against reviving a login that ended or was taken out; of many notes the latest counts.
-- KEYS: login, the user's logins, expiry list. ARGV: name in the list, last_seen_at, expires_at. Gives 1, or 0.
local login = redis.call('HMGET', KEYS[1], 'expires_at', 'last_seen_at')
if not login[1] or is_expired(login[1], ARGV[2]) then
  return 0
end
if not login[2] or tonumber(login[2]) < tonumber(ARGV[2]) then
  redis.call('HSET', KEYS[1], 'last_seen_at', ARGV[2])
end
if tonumber(login[1]) < tonumber(ARGV[3]) then
  redis.call('HSET', KEYS[1], 'expires_at', ARGV[3])
  keep_until(KEYS[2], ARGV[3])
  expires(KEYS[1], KEYS[3], ARGV[1], ARGV[3])
end
return 1
