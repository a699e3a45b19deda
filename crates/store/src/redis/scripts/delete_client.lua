-- The one step that deletes a client and revokes all it was given: what carries an earlier epoch is dead from here on.
-- KEYS: client, list of clients, list of unused ones, epoch, unused ones by address: counts, members.
-- ARGV: id, now, for how long the epoch of a kept client is remembered if it was used, and if it was not.
-- Gives whether it was there, and the epoch.
local epoch = string.format('%d:%s', epoch_number(redis.call('GET', KEYS[4])) + 1, ARGV[2])
redis.call('SET', KEYS[4], epoch)
redis.call('ZREM', KEYS[2], ARGV[1])
local unused = redis.call('ZREM', KEYS[3], ARGV[1]) == 1
no_longer_unused(KEYS[1], KEYS[5], KEYS[6])
local was_there = redis.call('DEL', KEYS[1])
if was_there == 1 then
  -- The ids of kept clients never come back, so their epochs need not last; else whoever registers and deletes fills the store.
  redis.call('PEXPIRE', KEYS[4], unused and ARGV[4] or ARGV[3])
end
return {was_there, epoch}
