-- Which clients were never used, counted by the address they registered from.

-- Takes a client out of what is counted by address, if it is there.
-- `client`: its key. `counts`: addresses by how many they have. `members`: `address time id`, in order.
local function no_longer_unused(client, counts, members)
  local member = redis.call('HGET', client, 'unused')
  if member and redis.call('ZREM', members, member) == 1 then
    local address = string.match(member, '^%S+')
    if tonumber(redis.call('ZINCRBY', counts, -1, address)) <= 0 then
      redis.call('ZREM', counts, address)
    end
  end
  redis.call('HDEL', client, 'unused')
end
