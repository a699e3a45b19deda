-- What strangers make is counted by their address, which stands in the record.
ALTER TABLE clients ADD COLUMN registered_from TEXT GENERATED ALWAYS AS (record ->> '$.registered_from') VIRTUAL;
CREATE INDEX clients_unused_by_address ON clients (registered_from, created_at) WHERE last_used_at IS NULL;

ALTER TABLE transactions ADD COLUMN begun_from TEXT GENERATED ALWAYS AS (record ->> '$.begun_from') VIRTUAL;
CREATE INDEX transactions_by_address ON transactions (begun_from) WHERE begun_from IS NOT NULL;
