-- Replaces what is sealed by itself sealed anew, unless it changed or went meanwhile.
-- KEYS: record. ARGV: the sealed field, as it was, as it is to be.
if redis.call('HGET', KEYS[1], ARGV[1]) == ARGV[2] then
  redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
  return 1
end
return 0
