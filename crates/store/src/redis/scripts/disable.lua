-- Keeps that something is disabled, in place of an earlier record, as long as there is room.
-- KEYS: records, their order. ARGV: field, record, time, how many there may be (0: any number).
-- Gives 'again' or 'new', or 'full'.
local before = redis.call('HEXISTS', KEYS[1], ARGV[1])
local most = tonumber(ARGV[4])
if before == 0 and most > 0 and redis.call('HLEN', KEYS[1]) >= most then
  return 'full'
end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
redis.call('ZADD', KEYS[2], ARGV[3], ARGV[1])
return before == 1 and 'again' or 'new'
