-- Guards the first sight of a tool (threat 45): of many callers one pins it.
-- KEYS: pins, definitions, servers. ARGV: server, now, then for each tool its name, field and definition.
local pinned = {}
local fields = redis.call('HGETALL', KEYS[1])
for i = 1, #fields, 2 do
  local _, _, approved_at = read_pin(fields[i + 1])
  if approved_at ~= '-' then
    pinned[tool_of(fields[i])] = true
  end
end
for i = 3, #ARGV, 3 do
  local tool, field = ARGV[i], ARGV[i + 1]
  if not pinned[tool] then
    pinned[tool] = true
    local kept = redis.call('HGET', KEYS[1], field)
    if kept then
      -- It waits in quarantine without an approved one beside it: it has lost its pin, so it may be the pin.
      local number, seen_at = read_pin(kept)
      redis.call('HSET', KEYS[1], field, string.format('%s %s %s', number, seen_at, ARGV[2]))
    else
      add_pin(field, ARGV[2], ARGV[2], ARGV[i + 2])
    end
  end
end
redis.call('SADD', KEYS[3], ARGV[1])
return 1
