-- Writes where something is kept, in the slot it is looked for. Guards a token's hash and a grant's id: none of them leads to two places.
-- KEYS: pointer. ARGV: place, until when it is of use. Gives 1 if it is new, 2 if it said the same before, 0 if it leads elsewhere.
local kept = redis.call('GET', KEYS[1])
if kept and kept ~= ARGV[1] then
  return 0
end
if not kept then
  redis.call('SET', KEYS[1], ARGV[1])
end
keep_until(KEYS[1], ARGV[2])
return kept and 2 or 1
