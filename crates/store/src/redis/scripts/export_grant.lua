-- Reads a grant with its tokens at one moment: none may be told from before an exchange, and another from after it.
-- KEYS: grant, its family (or the grant again), then refresh tokens of before there were families, then access tokens.
-- ARGV: how many these refresh tokens are.
-- Gives the grant, when its last token ends, the id of its family, and for the family and each token its fields.
local refresh, access = {}, {}
local count = tonumber(ARGV[1])
for i = 3, 2 + count do
  refresh[#refresh + 1] = redis.call('HMGET', KEYS[i], 'grant', 'expires_at', 'used_at')
end
for i = 3 + count, #KEYS do
  access[#access + 1] = redis.call('HMGET', KEYS[i], 'grant', 'expires_at', 'scopes', 'resource')
end
local fields = {'record', 'revoked_at', 'epoch', 'epoch_of_client', 'epoch_of_user', 'epoch_of_login'}
local grant = redis.call('HMGET', KEYS[1], unpack(fields))
local family = redis.call('HMGET', KEYS[2], 'grant', 'expires_at', 'secret', 'state')
return {grant, redis.call('HGET', KEYS[1], 'tokens_until'), redis.call('HGET', KEYS[1], 'family'), family, refresh, access}
