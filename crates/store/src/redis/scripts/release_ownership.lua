-- Gives a home up, unless it is another node's by now.
-- KEYS: the home. ARGV: the node. Gives 1, or 0.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then
  return 0
end
return redis.call('DEL', KEYS[1])
