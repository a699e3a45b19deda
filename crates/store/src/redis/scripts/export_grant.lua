-- Reads a grant with its tokens at one moment: a used refresh token and its successor must not be told from different ones.
-- KEYS: grant, expiry list, then for each refresh token its record and its sealed successor, then access tokens.
-- ARGV: for each refresh token how the expiry list calls its successor.
-- Gives the grant, when its last token ends, and for each token its fields; with a refresh token its successor and the end of the grace window.
local refresh, access = {}, {}
for i = 1, #ARGV do
  local at = 1 + 2 * i
  refresh[i] = {
    redis.call('HMGET', KEYS[at], 'grant', 'expires_at', 'used_at', 'successor'),
    redis.call('HGET', KEYS[at + 1], 'record'),
    redis.call('ZSCORE', KEYS[2], ARGV[i]),
  }
end
for i = 3 + 2 * #ARGV, #KEYS do
  access[#access + 1] = redis.call('HMGET', KEYS[i], 'grant', 'expires_at', 'scopes', 'resource')
end
local fields = {'record', 'revoked_at', 'epoch', 'epoch_of_client', 'epoch_of_user', 'epoch_of_login'}
return {redis.call('HMGET', KEYS[1], unpack(fields)), redis.call('HGET', KEYS[1], 'tokens_until'), refresh, access}
