-- What every script may use; it stands before each of them. Times are milliseconds since 1970.

-- Redis deletes by its own clock, the ports answer by the clock of the gateway: a key outlives what it is about by an hour,
-- so that no difference of the clocks makes anything disappear early. A key's end is never moved closer.
local MARGIN = 3600000
local LATEST = 9000000000000000

local function keep_until(key, at)
  local time = redis.call('TIME')
  local now = time[1] * 1000 + math.floor(time[2] / 1000)
  local last = math.min(math.max(tonumber(at), now) + MARGIN, LATEST)
  local left = redis.call('PTTL', key)
  if left < last - now then
    redis.call('PEXPIREAT', key, string.format('%.0f', last))
  end
end

-- Notes in the shard's list when a record expires, and lets Redis delete it some time later.
local function expires(key, list, member, at)
  redis.call('ZADD', list, at, member)
  keep_until(key, at)
  keep_until(list, at)
end

local function is_expired(at, now)
  return tonumber(at) <= tonumber(now)
end

-- The number in an epoch, `number:time`; 0 before the first revocation.
local function epoch_number(epoch)
  return tonumber(string.match(epoch or '0', '^%d+'))
end
