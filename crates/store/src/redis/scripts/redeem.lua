-- Guards the single use of an authorization code (threat 15), and writes what it becomes in the same step. The code is remembered for as
-- long as the grant may live (threat 70).
-- KEYS: code, expiry list, list of grants, grant, access token, family of refresh tokens (or the access token's key again).
-- ARGV: now, grant id, rank of the grant, its name in the expiry list, the code's name there, until when it is remembered,
--       number of the grant's fields and values, these,
--       access: name, expires_at, scopes, resource; family: name, expires_at, sealed secret, state, id (or nothing).
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
local id, count = ARGV[2], tonumber(ARGV[7])
local at = 8 + count
redis.call('HSET', KEYS[4], unpack(ARGV, 8, 7 + count))
redis.call('ZADD', KEYS[3], ARGV[3], id)
keep_token(KEYS[5], KEYS[2], ARGV[at], id, ARGV[at + 1], 'scopes', ARGV[at + 2], 'resource', ARGV[at + 3])
prolong(KEYS[4], KEYS[2], ARGV[4], ARGV[at + 1])
if ARGV[at + 4] then
  keep_family(KEYS[6], KEYS[2], ARGV[at + 4], id, ARGV[at + 5], ARGV[at + 6], ARGV[at + 7])
  prolong(KEYS[4], KEYS[2], ARGV[4], ARGV[at + 5])
end
keep_until(KEYS[3], redis.call('HGET', KEYS[4], 'tokens_until'))
redis.call('HSET', KEYS[1], 'grant', id)
if tonumber(code[1]) < tonumber(ARGV[6]) then
  redis.call('HSET', KEYS[1], 'expires_at', ARGV[6])
  expires(KEYS[1], KEYS[2], ARGV[5], ARGV[6])
end
return {'fresh'}
