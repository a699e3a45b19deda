-- Finds the unused client that is to go first: the oldest one of the address that has most; one without an address if none has one.
-- KEYS: list of unused ones, addresses by how many they have, clients by address. ARGV: how many may be. Gives its id, or nothing if they are few.
if redis.call('ZCARD', KEYS[1]) <= tonumber(ARGV[1]) then
  return false
end
local address = redis.call('ZREVRANGE', KEYS[2], 0, 0)[1]
if address then
  local member = redis.call('ZRANGEBYLEX', KEYS[3], '[' .. address .. ' ', '+', 'LIMIT', 0, 1)[1]
  if member then
    return string.match(member, '^%S+ %S+ (.*)$')
  end
end
return redis.call('ZRANGE', KEYS[1], 0, 0)[1]
