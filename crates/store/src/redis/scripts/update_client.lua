-- Guards against reviving a client that was deleted meanwhile. KEYS: client. ARGV: record. Gives 1, or 0 if it is not there.
if redis.call('EXISTS', KEYS[1]) == 0 then
  return 0
end
redis.call('HSET', KEYS[1], 'record', ARGV[1])
return 1
