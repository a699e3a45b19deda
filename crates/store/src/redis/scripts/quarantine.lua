-- Notes changed tools once, and keeps of each the newest: a server that changes with every look must not fill the store.
-- KEYS: pins, definitions, servers. ARGV: server, now, how many to keep, then for each tool its field and definition.
-- Gives the places, from 0, of those that were not known.

-- What is held of each tool, as {number, field}: read once, however many are noted.
local held = {}
local function note(field, number)
  local tool = tool_of(field)
  held[tool] = held[tool] or {}
  table.insert(held[tool], {tonumber(number), field})
end

local fields = {}
for i = 4, #ARGV, 2 do
  if redis.call('HEXISTS', KEYS[1], ARGV[i]) == 0 then
    fields = redis.call('HGETALL', KEYS[1])
    break
  end
end
for i = 1, #fields, 2 do
  local number, _, approved_at = read_pin(fields[i + 1])
  if approved_at == '-' then
    note(fields[i], number)
  end
end

local function make_room(tool, keep)
  local of_tool = held[tool]
  table.sort(of_tool, function(one, other) return one[1] > other[1] end)
  for i = #of_tool, keep + 1, -1 do
    remove_pin(of_tool[i][2])
    of_tool[i] = nil
  end
end

local fresh = {}
for i = 4, #ARGV, 2 do
  if redis.call('HEXISTS', KEYS[1], ARGV[i]) == 0 then
    add_pin(ARGV[i], ARGV[2], '-', ARGV[i + 1])
    fresh[#fresh + 1] = (i - 4) / 2
    note(ARGV[i], (read_pin(redis.call('HGET', KEYS[1], ARGV[i]))))
    make_room(tool_of(ARGV[i]), tonumber(ARGV[3]))
  end
end
redis.call('SADD', KEYS[3], ARGV[1])
return fresh
