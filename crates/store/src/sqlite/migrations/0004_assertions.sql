-- Assertions that clients proved themselves with: each is good for one use until it expires.
CREATE TABLE assertions (
    hash       BLOB PRIMARY KEY,
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX assertions_by_expiry ON assertions (expires_at);
