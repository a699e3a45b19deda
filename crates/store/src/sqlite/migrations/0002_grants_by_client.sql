-- A client's grants end together: when it is removed, or when somebody revokes all it was given.

ALTER TABLE grants ADD COLUMN client_id TEXT NOT NULL DEFAULT '';
UPDATE grants SET client_id = json_extract(record, '$.client');
CREATE INDEX grants_by_client ON grants (client_id);
CREATE INDEX consents_by_client ON consents (client_id);
