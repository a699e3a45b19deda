-- Lets a fingerprint out of quarantine. KEYS: pins. ARGV: fingerprint, now. Gives 1 if it was in there.
local approved = 0
local fields = redis.call('HGETALL', KEYS[1])
for i = 1, #fields, 2 do
  local number, seen_at, approved_at = read_pin(fields[i + 1])
  if approved_at == '-' and string.sub(fields[i], 1, 64) == ARGV[1] then
    redis.call('HSET', KEYS[1], fields[i], string.format('%s %s %s', number, seen_at, ARGV[2]))
    approved = 1
  end
end
return approved
