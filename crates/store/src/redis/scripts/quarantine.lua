-- Notes changed tools once, and keeps of each the newest: a server that changes with every look must not fill the store.
-- KEYS: pins, definitions, servers. ARGV: server, now, how many to keep, then for each tool its field and definition.
-- Gives the places, from 0, of those that were not known.
local function make_room(tool, keep)
  local held = {}
  local fields = redis.call('HGETALL', KEYS[1])
  for i = 1, #fields, 2 do
    local number, _, approved_at = read_pin(fields[i + 1])
    if approved_at == '-' and tool_of(fields[i]) == tool then
      held[#held + 1] = {tonumber(number), fields[i]}
    end
  end
  table.sort(held, function(one, other) return one[1] > other[1] end)
  for i = keep + 1, #held do
    remove_pin(held[i][2])
  end
end

local fresh = {}
for i = 4, #ARGV, 2 do
  if redis.call('HEXISTS', KEYS[1], ARGV[i]) == 0 then
    add_pin(ARGV[i], ARGV[2], '-', ARGV[i + 1])
    fresh[#fresh + 1] = (i - 4) / 2
    make_room(tool_of(ARGV[i]), tonumber(ARGV[3]))
  end
end
redis.call('SADD', KEYS[3], ARGV[1])
return fresh
