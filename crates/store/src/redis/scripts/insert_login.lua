-- Guards a login's id, and keeps the user as just described together with it, or neither.
-- KEYS: login, user, the user's logins, expiry list. ARGV: name in the list, expires_at, login, user, hash. Gives 1 and
-- what was kept of the user, or 0 if taken.
if redis.call('EXISTS', KEYS[1]) == 1 then
  return {0}
end
local earlier = redis.call('GET', KEYS[2])
redis.call('SET', KEYS[2], ARGV[4])
redis.call('HSET', KEYS[1], 'expires_at', ARGV[2], 'record', ARGV[3])
redis.call('ZADD', KEYS[3], ARGV[2], ARGV[5])
keep_until(KEYS[3], ARGV[2])
expires(KEYS[1], KEYS[4], ARGV[1], ARGV[2])
return {1, earlier}
