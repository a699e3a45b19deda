-- Finds the unused client that is to go first: the oldest one of the address that has most; of several such, of the one whose oldest is the
-- oldest. One without an address if none has one.
-- KEYS: list of unused ones, addresses by how many they have, clients by address. ARGV: how many may be. Gives its id, or nothing if they are few.
if redis.call('ZCARD', KEYS[1]) <= tonumber(ARGV[1]) then
  return false
end
local most = redis.call('ZREVRANGE', KEYS[2], 0, 0, 'WITHSCORES')
if not most[1] or tonumber(most[2]) <= 1 then
  return redis.call('ZRANGE', KEYS[1], 0, 0)[1]
end
-- So many that as good as always all of them are looked at.
local time, oldest
for _, address in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], most[2], most[2], 'LIMIT', 0, 100)) do
  local member = redis.call('ZRANGEBYLEX', KEYS[3], '[' .. address .. ' ', '+', 'LIMIT', 0, 1)[1]
  local its_time, id = string.match(member or '', '^%S+ (%S+) (.*)$')
  if id and (not time or its_time < time) then
    time, oldest = its_time, id
  end
end
return oldest or redis.call('ZRANGE', KEYS[1], 0, 0)[1]
