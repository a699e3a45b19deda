-- Counts a bulletin and tells it, with the marks before and after it. Whoever may not publish is counted all the same.
-- KEYS: mark. ARGV: channel, bulletin.
local before = redis.call('GET', KEYS[1])
local time = redis.call('TIME')
local number = tonumber(string.match(before or '0', '^%d+')) + 1
local after = string.format('%d:%d%06d', number, time[1], time[2])
redis.call('SET', KEYS[1], after)
redis.pcall('PUBLISH', ARGV[1], mark_of(before) .. '\n' .. mark_of(after) .. '\n' .. ARGV[2])
return 1
