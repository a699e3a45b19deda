-- Keeps what a backup says of a tool, after what it says of the tool's earlier descriptions.
-- KEYS: pins, definitions, servers. ARGV: server, field, seen_at, approved_at or `-`, definition.
if redis.call('HEXISTS', KEYS[1], ARGV[2]) == 0 then
  add_pin(ARGV[2], ARGV[3], ARGV[4], ARGV[5])
  redis.call('SADD', KEYS[3], ARGV[1])
end
return 1
