-- Guards the single use of a refresh token (threats 17 and 18): one caller's successor is kept, all others within the grace
-- window are told that one.
-- KEYS: used token, sealed successor, successor's token, access token, grant, expiry list, list of grants.
-- ARGV: now, grace, grant id, its name in the expiry list,
--       successor: hash, name, expires_at; sealed successor: name, value, end of the grace window;
--       access: name, expires_at, scopes, resource.
local now, grace, id, grant_name = ARGV[1], tonumber(ARGV[2]), ARGV[3], ARGV[4]
local used = redis.call('HMGET', KEYS[1], 'expires_at', 'used_at', 'grant', 'successor')
if not used[1] or is_expired(used[1], now) or used[3] ~= id then
  return {'unknown'}
end
local grant = redis.call('HMGET', KEYS[5], 'record', 'revoked_at')
if not grant[1] or grant[2] then
  return {'unknown'}
end
local function keep_access()
  keep_token(KEYS[4], KEYS[6], ARGV[11], id, ARGV[12], 'scopes', ARGV[13], 'resource', ARGV[14])
  prolong(KEYS[5], KEYS[6], grant_name, ARGV[12])
  keep_until(KEYS[7], ARGV[12])
end
if used[2] then
  if used[4] == ARGV[5] then
    -- The same call again, sent twice because its answer was lost.
    return {'fresh'}
  end
  local sealed = redis.call('HGET', KEYS[2], 'record')
  if not sealed or math.max(tonumber(now) - tonumber(used[2]), 0) >= grace then
    return {'reused'}
  end
  if redis.call('EXISTS', KEYS[4]) == 1 then
    return {'conflict'}
  end
  keep_access()
  return {'repeated', sealed}
end
if redis.call('EXISTS', KEYS[3], KEYS[4]) > 0 then
  return {'conflict'}
end
redis.call('HSET', KEYS[1], 'used_at', now, 'successor', ARGV[5])
keep_token(KEYS[3], KEYS[6], ARGV[6], id, ARGV[7])
prolong(KEYS[5], KEYS[6], grant_name, ARGV[7])
keep_until(KEYS[7], ARGV[7])
redis.call('HSET', KEYS[2], 'record', ARGV[9])
expires(KEYS[2], KEYS[6], ARGV[8], ARGV[10])
keep_access()
return {'fresh'}
