-- Guards the single use of an authorization code (threat 15), and writes what it becomes in the same step.
-- KEYS: code, expiry list, list of grants, grant, access token, refresh token (or the access token's key again).
-- ARGV: now, grant id, rank of the grant, its name in the expiry list, number of its fields and values, these,
--       access: name, expires_at, scopes, resource; refresh: name, expires_at (or nothing).
local code = redis.call('HMGET', KEYS[1], 'expires_at', 'grant')
if not code[1] or is_expired(code[1], ARGV[1]) then
  return {'unknown'}
end
if code[2] == ARGV[2] and redis.call('EXISTS', KEYS[5]) == 1 then
  -- The same call again, sent twice because its answer was lost.
  return {'fresh'}
end
if code[2] then
  return {'already', code[2]}
end
if redis.call('EXISTS', KEYS[4], KEYS[5], KEYS[6]) > 0 then
  return {'conflict'}
end
local id, count = ARGV[2], tonumber(ARGV[5])
local at = 6 + count
redis.call('HSET', KEYS[4], unpack(ARGV, 6, 5 + count))
redis.call('ZADD', KEYS[3], ARGV[3], id)
keep_token(KEYS[5], KEYS[2], ARGV[at], id, ARGV[at + 1], 'scopes', ARGV[at + 2], 'resource', ARGV[at + 3])
prolong(KEYS[4], KEYS[2], ARGV[4], ARGV[at + 1])
if ARGV[at + 4] then
  keep_token(KEYS[6], KEYS[2], ARGV[at + 4], id, ARGV[at + 5])
  prolong(KEYS[4], KEYS[2], ARGV[4], ARGV[at + 5])
end
keep_until(KEYS[3], redis.call('HGET', KEYS[4], 'tokens_until'))
redis.call('HSET', KEYS[1], 'grant', id)
return {'fresh'}
