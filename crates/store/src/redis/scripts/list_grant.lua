-- Lists a grant among those of its user, its client or its login.
-- KEYS: list. ARGV: place of the grant, its rank (newest first), until when it is of use. Gives 1 if it was not listed.
local added = redis.call('ZADD', KEYS[1], ARGV[2], ARGV[1])
keep_until(KEYS[1], ARGV[3])
return added
