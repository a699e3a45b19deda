-- Notes that a transaction was begun from an address, and takes out of the list what is over the limit, oldest first.
-- KEYS: list. ARGV: its rank, its id, until when the list is of use, how many there may be. Gives the ids that were taken out.
if ARGV[2] ~= '' then
  redis.call('ZADD', KEYS[1], 'NX', ARGV[1], ARGV[2])
  keep_until(KEYS[1], ARGV[3])
end
local excess = math.min(redis.call('ZCARD', KEYS[1]) - tonumber(ARGV[4]), 500)
if excess <= 0 then
  return {}
end
local oldest = redis.call('ZRANGE', KEYS[1], 0, excess - 1)
redis.call('ZREM', KEYS[1], unpack(oldest))
return oldest
