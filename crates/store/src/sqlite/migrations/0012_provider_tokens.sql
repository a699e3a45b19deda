-- The refresh token that an identity provider gave for a person, sealed, under a hash of the person's id.
CREATE TABLE provider_tokens (
    id         BLOB PRIMARY KEY,
    version    INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    record     BLOB NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX provider_tokens_by_expiry ON provider_tokens (expires_at);
