-- Guards that a login is taken out by one caller. KEYS: expiry list, the user's logins, then logins.
-- ARGV: for each login its name in the expiry list and its hash. Gives the records of those that were there.
local taken = {}
for i = 3, #KEYS do
  local record = redis.call('HGET', KEYS[i], 'record')
  if record then
    redis.call('DEL', KEYS[i])
    taken[#taken + 1] = record
  end
  redis.call('ZREM', KEYS[1], ARGV[2 * i - 5])
  redis.call('ZREM', KEYS[2], ARGV[2 * i - 4])
end
return taken
