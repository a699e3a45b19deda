-- The nodes that are alive now, by the clock of Redis: each with its URL.
-- KEYS: nodes by when they end, their URLs. ARGV: nothing, or the only nodes that matter.
local time = redis.call('TIME')
local now = string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000))
local alive = {}
local function note(node)
  local url = redis.call('HGET', KEYS[2], node)
  if url then
    alive[#alive + 1] = node
    alive[#alive + 1] = url
  end
end
if #ARGV == 0 then
  for _, node in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '(' .. now, '+inf')) do
    note(node)
  end
else
  for _, node in ipairs(ARGV) do
    local score = redis.call('ZSCORE', KEYS[1], node)
    if score and tonumber(score) > tonumber(now) then
      note(node)
    end
  end
end
return alive
