-- Guards the order of a chain of the audit trail: records are appended only to the end that the writer knows.
-- KEYS: head, records. ARGV: the head as it must be ('' if there is none), the new one, then of each record its number, its
-- time, its hash and its text. Gives 1, or 0 if the head is another.
if (redis.call('GET', KEYS[1]) or '') ~= ARGV[1] then
  return 0
end
for at = 3, #ARGV, 4 do
  redis.call('XADD', KEYS[2], ARGV[at] .. '-0', 'at', ARGV[at + 1], 'hash', ARGV[at + 2], 'record', ARGV[at + 3])
end
redis.call('SET', KEYS[1], ARGV[2])
return 1
