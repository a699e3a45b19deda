-- Writes a grant that no code became, with its token, or neither.
-- KEYS: expiry list, list of grants, grant, access token.
-- ARGV: grant id, rank of the grant, its name in the expiry list, number of its fields and values, these,
--       access: name, expires_at, scopes, resource.
if redis.call('EXISTS', KEYS[3], KEYS[4]) > 0 then
  return 0
end
local id, count = ARGV[1], tonumber(ARGV[4])
local at = 5 + count
redis.call('HSET', KEYS[3], unpack(ARGV, 5, 4 + count))
redis.call('ZADD', KEYS[2], ARGV[2], id)
keep_token(KEYS[4], KEYS[1], ARGV[at], id, ARGV[at + 1], 'scopes', ARGV[at + 2], 'resource', ARGV[at + 3])
prolong(KEYS[3], KEYS[1], ARGV[3], ARGV[at + 1])
keep_until(KEYS[2], ARGV[at + 1])
return 1
