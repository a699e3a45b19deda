-- Guards the order of a chain of the audit trail: records are appended only to the end that the writer knows, and over nothing
-- that stands there already.
-- KEYS: head, records. ARGV: the head as it must be ('' if there is none), the new one, then of each record its number, its
-- time, its hash and its text. Gives 1; 0 if the head is another; 2 if the records cannot stand where they belong. Nothing is
-- written then: what refuses one of them refuses the first.
local function stands_in_the_way(answer)
  for _, words in ipairs({'WRONGTYPE', 'equal or smaller', 'exhausted the last possible ID'}) do
    if string.find(answer.err, words, 1, true) then
      return true
    end
  end
  return false
end
local head = redis.pcall('GET', KEYS[1])
if type(head) == 'table' and head.err then
  return stands_in_the_way(head) and 2 or head
end
if (head or '') ~= ARGV[1] then
  return 0
end
for at = 3, #ARGV, 4 do
  local added = redis.pcall('XADD', KEYS[2], ARGV[at] .. '-0', 'at', ARGV[at + 1], 'hash', ARGV[at + 2], 'record', ARGV[at + 3])
  if type(added) == 'table' and added.err then
    return stands_in_the_way(added) and 2 or added
  end
end
redis.call('SET', KEYS[1], ARGV[2])
return 1
