-- Replaces a sealed record by itself sealed anew, unless it changed or went meanwhile. KEYS: record. ARGV: as it was, as it is to be.
if redis.call('HGET', KEYS[1], 'record') == ARGV[1] then
  redis.call('HSET', KEYS[1], 'record', ARGV[2])
  return 1
end
return 0
