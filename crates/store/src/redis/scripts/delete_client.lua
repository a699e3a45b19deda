-- The one step that deletes a client and revokes all it was given: what carries an earlier epoch is dead from here on.
-- KEYS: client, list of clients, list of unused ones, epoch. ARGV: id, now. Gives whether it was there, and the epoch.
local epoch = string.format('%d:%s', epoch_number(redis.call('GET', KEYS[4])) + 1, ARGV[2])
redis.call('SET', KEYS[4], epoch)
redis.call('ZREM', KEYS[2], ARGV[1])
redis.call('ZREM', KEYS[3], ARGV[1])
return {redis.call('DEL', KEYS[1]), epoch}
