-- For the scripts about pins. A field is `fingerprint tool`, the fingerprint in 64 hexadecimal digits, and for `tool` what is pinned,
-- with its kind before it if it is no tool; its value is
-- `number seen_at approved_at`, with `-` in quarantine. What a fingerprint stands for is in a hash beside it.
local function tool_of(field)
  return string.sub(field, 66)
end

local function read_pin(value)
  return string.match(value, '^(%d+) (%-?%d+) (%S+)$')
end

local function add_pin(field, seen_at, approved_at, definition)
  local number = redis.call('HINCRBY', KEYS[2], '', 1)
  redis.call('HSET', KEYS[1], field, string.format('%d %s %s', number, seen_at, approved_at))
  redis.call('HSET', KEYS[2], field, definition)
end

local function remove_pin(field)
  redis.call('HDEL', KEYS[1], field)
  redis.call('HDEL', KEYS[2], field)
end
