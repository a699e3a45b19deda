-- Takes a pointer back whose target was not written after all; one that leads elsewhere by now stays.
-- KEYS: pointer. ARGV: place.
if redis.call('GET', KEYS[1]) == ARGV[1] then
  return redis.call('DEL', KEYS[1])
end
return 0
