-- Guards a provider's refresh token: of many who found one version, one changes it.
-- KEYS: record, expiry list. ARGV: name in the list, version found, expires_at, new version, record. Gives 1, or 0 if it has another version or is gone.
if redis.call('HGET', KEYS[1], 'version') ~= ARGV[2] then
  return 0
end
redis.call('HSET', KEYS[1], 'expires_at', ARGV[3], 'version', ARGV[4], 'record', ARGV[5])
expires(KEYS[1], KEYS[2], ARGV[1], ARGV[3])
return 1
