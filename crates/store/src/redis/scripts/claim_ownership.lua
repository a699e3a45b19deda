-- Guards that a user has one home: it is taken from the node that was found to be gone, and from no other.
-- KEYS: the home. ARGV: the node that was found there (empty for none), the node that wants to be it, milliseconds to keep it for.
-- Gives the node that is the home now.
local home = redis.call('GET', KEYS[1]) or ''
if home ~= ARGV[1] and home ~= ARGV[2] then
  return home
end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return ARGV[2]
