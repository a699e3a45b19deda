-- For the scripts that keep a grant and its tokens: they stand together in one slot, so that they are written together.
local function keep_token(key, list, member, grant, expires_at, ...)
  redis.call('HSET', key, 'grant', grant, 'expires_at', expires_at, ...)
  expires(key, list, member, expires_at)
end

-- The secret of a family never changes: what is there stays, under whichever key it is sealed.
local function keep_family(key, list, member, grant, expires_at, secret, state)
  redis.call('HSETNX', key, 'secret', secret)
  redis.call('HSET', key, 'grant', grant, 'expires_at', expires_at, 'state', state)
  expires(key, list, member, expires_at)
end

-- A grant is of use for as long as its longest-lived token.
local function prolong(key, list, member, till)
  local kept = redis.call('HGET', key, 'tokens_until')
  if not kept or tonumber(kept) < tonumber(till) then
    redis.call('HSET', key, 'tokens_until', till)
    expires(key, list, member, till)
  end
end
