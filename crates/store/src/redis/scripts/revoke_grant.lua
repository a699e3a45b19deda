-- Ends a grant once: the time of a revocation does not change.
-- KEYS: grant. ARGV: now; or now, the field of an epoch, that epoch, by which grants of later epochs live on.
-- Gives 1 if it was live until now.
local grant = redis.call('HMGET', KEYS[1], 'record', 'revoked_at')
if not grant[1] or grant[2] then
  return 0
end
if ARGV[2] and epoch_number(redis.call('HGET', KEYS[1], ARGV[2])) >= epoch_number(ARGV[3]) then
  return 0
end
redis.call('HSET', KEYS[1], 'revoked_at', ARGV[1])
return 1
