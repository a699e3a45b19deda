-- Grants are found by the login they were given in too; it stands in the record.
ALTER TABLE grants ADD COLUMN login TEXT GENERATED ALWAYS AS (record ->> '$.login') VIRTUAL;
CREATE INDEX grants_by_login ON grants (login, created_at DESC) WHERE login IS NOT NULL;

-- The one resource a token is for. Older tokens have none here: their grant has just one.
ALTER TABLE access_tokens ADD COLUMN resource TEXT;

-- When a login was last used, noted only where unused logins end early.
ALTER TABLE logins ADD COLUMN last_seen_at INTEGER;
