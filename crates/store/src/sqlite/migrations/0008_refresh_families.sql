-- All refresh tokens that a grant ever had are one row. `refresh_tokens` keeps those of before: they are used up one by one, and go when
-- they expire; what they were exchanged for is not needed any more.
CREATE TABLE refresh_families (
    id         BLOB PRIMARY KEY,
    grant_id   TEXT NOT NULL UNIQUE REFERENCES grants (id),
    expires_at INTEGER NOT NULL,    -- of the current token
    secret     BLOB NOT NULL,       -- sealed
    state      BLOB NOT NULL        -- of constant length
) STRICT, WITHOUT ROWID;
CREATE INDEX refresh_families_by_expiry ON refresh_families (expires_at);

DROP INDEX refresh_tokens_by_grace;
ALTER TABLE refresh_tokens DROP COLUMN successor_until;
ALTER TABLE refresh_tokens DROP COLUMN successor_secret;
