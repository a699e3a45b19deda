-- Deletes what is still expired; what was prolonged since it was listed stays.
-- KEYS: expiry list, then for each name a record and a list it stands in (or the expiry list again).
-- ARGV: now, then for each name the name, how the other list calls it, and 1 if it counts. Gives how many.
local deleted = 0
for i = 2, #KEYS, 2 do
  local at = 2 + (i - 2) / 2 * 3
  local score = redis.call('ZSCORE', KEYS[1], ARGV[at])
  if score and is_expired(score, ARGV[1]) then
    deleted = deleted + redis.call('DEL', KEYS[i]) * ARGV[at + 2]
    redis.call('ZREM', KEYS[1], ARGV[at])
    redis.call('ZREM', KEYS[i + 1], ARGV[at + 1])
  end
end
return deleted
