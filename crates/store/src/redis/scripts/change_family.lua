-- Guards the single use of a refresh token (threats 17 and 18): of all calls that found the family as it is, one changes it. The others
-- look again.
-- KEYS: family, access token, grant, expiry list, list of grants.
-- ARGV: grant id, its name in the expiry list, the state that was found (nothing if there was no family);
--       access: name, expires_at, scopes, resource; family: name, expires_at, sealed secret, state, id.
local id, grant_name = ARGV[1], ARGV[2]
local grant = redis.call('HMGET', KEYS[3], 'record', 'revoked_at', 'family')
if not grant[1] or grant[2] then
  return 'changed'
end
local state = redis.call('HGET', KEYS[1], 'state')
if state == ARGV[11] and redis.call('EXISTS', KEYS[2]) == 1 then
  -- The same call again, sent twice because its answer was lost.
  return 'done'
end
if (state or '') ~= ARGV[3] or (grant[3] and grant[3] ~= ARGV[12]) then
  return 'changed'
end
if redis.call('EXISTS', KEYS[2]) == 1 then
  return 'conflict'
end
keep_family(KEYS[1], KEYS[4], ARGV[8], id, ARGV[9], ARGV[10], ARGV[11])
redis.call('HSET', KEYS[3], 'family', ARGV[12])
prolong(KEYS[3], KEYS[4], grant_name, ARGV[9])
keep_until(KEYS[5], ARGV[9])
keep_token(KEYS[2], KEYS[4], ARGV[4], id, ARGV[5], 'scopes', ARGV[6], 'resource', ARGV[7])
prolong(KEYS[3], KEYS[4], grant_name, ARGV[5])
keep_until(KEYS[5], ARGV[5])
return 'done'
