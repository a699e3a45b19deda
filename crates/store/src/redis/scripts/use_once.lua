-- Guards the single use of a client's assertion (threat 20).
-- KEYS: assertion, expiry list. ARGV: name in the list, expires_at, now. Gives 1 for the first use, else 0.
local kept = redis.call('HGET', KEYS[1], 'expires_at')
if kept and not is_expired(kept, ARGV[3]) then
  return 0
end
redis.call('HSET', KEYS[1], 'expires_at', ARGV[2])
expires(KEYS[1], KEYS[2], ARGV[1], ARGV[2])
return 1
