-- Forgets one tool of a server, or all of them. KEYS: pins, definitions. ARGV: the tool, or nothing. Gives how many tools.
local tools, count = {}, 0
for _, field in ipairs(redis.call('HKEYS', KEYS[1])) do
  local tool = tool_of(field)
  if not ARGV[1] or tool == ARGV[1] then
    remove_pin(field)
    if not tools[tool] then
      tools[tool] = true
      count = count + 1
    end
  end
end
return count
