-- Deletes clients that are still unused; one that was used since it was listed stays.
-- KEYS: list of clients, list of unused ones, the same by address: counts, members; then clients. ARGV: unused since, then their ids. Gives how many.
local deleted = 0
for i = 5, #KEYS do
  local id = ARGV[i - 3]
  local created = redis.call('ZSCORE', KEYS[2], id)
  if created and tonumber(created) < tonumber(ARGV[1]) then
    redis.call('ZREM', KEYS[1], id)
    redis.call('ZREM', KEYS[2], id)
    no_longer_unused(KEYS[i], KEYS[3], KEYS[4])
    deleted = deleted + redis.call('DEL', KEYS[i])
  end
end
return deleted
