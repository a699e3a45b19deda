-- Forgets the consents that a user gave a client. KEYS: the user's consents. ARGV: how the fields of this client begin.
for _, field in ipairs(redis.call('HKEYS', KEYS[1])) do
  if string.sub(field, 1, #ARGV[1]) == ARGV[1] then
    redis.call('HDEL', KEYS[1], field)
  end
end
return 1
