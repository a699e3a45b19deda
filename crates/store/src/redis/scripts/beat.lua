-- Says that a node is alive, by the clock of Redis; forgets those that have not said so for long.
-- KEYS: nodes by when they end, their URLs. ARGV: node, URL, milliseconds to be alive for.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZADD', KEYS[1], string.format('%.0f', math.min(now + tonumber(ARGV[3]), LATEST)), ARGV[1])
redis.call('HSET', KEYS[2], ARGV[1], ARGV[2])
for _, gone in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', string.format('%.0f', now - MARGIN))) do
  redis.call('ZREM', KEYS[1], gone)
  redis.call('HDEL', KEYS[2], gone)
end
return 1
