-- How far the bulletins have come. Writes nothing.
-- KEYS: mark.
return mark_of(redis.call('GET', KEYS[1]))
