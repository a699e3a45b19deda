-- The one step that revokes everything of a user, a login or everybody: what carries an earlier epoch is dead from here on.
-- KEYS: epoch, then what goes with it at once. ARGV: now, for how long the epoch is remembered (0: for ever). Gives the epoch.
local epoch = string.format('%d:%s', epoch_number(redis.call('GET', KEYS[1])) + 1, ARGV[1])
redis.call('SET', KEYS[1], epoch)
if ARGV[2] ~= '0' then
  redis.call('PEXPIRE', KEYS[1], ARGV[2])
end
if KEYS[2] then
  redis.call('DEL', unpack(KEYS, 2))
end
return epoch
