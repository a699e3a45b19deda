-- Guards the start of a chain of the audit trail: what is deleted in its time is noted in the head in the same step.
-- KEYS: head, records. ARGV: the head as it must be, the new one, the first number that stays. Gives 1, or 0 if the head is
-- another.
if (redis.call('GET', KEYS[1]) or '') ~= ARGV[1] then
  return 0
end
redis.call('XTRIM', KEYS[2], 'MINID', ARGV[3] .. '-0')
redis.call('SET', KEYS[1], ARGV[2])
return 1
