-- Guards a client's id, and keeps the lists of clients true.
-- KEYS: client, list of clients, list of unused ones, addresses by how many of them they have, these by address.
-- ARGV: id, record, created_at, rank, last_used_at or nothing, address or nothing, how it is called by address.
-- Gives 1, or 0 if the id is taken.
if redis.call('EXISTS', KEYS[1]) == 1 then
  return 0
end
redis.call('HSET', KEYS[1], 'record', ARGV[2])
redis.call('ZADD', KEYS[2], ARGV[4], ARGV[1])
if ARGV[5] ~= '' then
  redis.call('HSET', KEYS[1], 'last_used_at', ARGV[5])
else
  redis.call('ZADD', KEYS[3], ARGV[3], ARGV[1])
  if ARGV[6] ~= '' then
    redis.call('HSET', KEYS[1], 'unused', ARGV[7])
    redis.call('ZADD', KEYS[5], 0, ARGV[7])
    redis.call('ZINCRBY', KEYS[4], 1, ARGV[6])
  end
end
return 1
