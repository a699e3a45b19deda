-- Times are milliseconds since 1970. `record` is the record as JSON, or sealed where its type holds secrets; a column beside it
-- is there to be searched, joined or changed, and where both say the same thing the column is right.

CREATE TABLE meta (
    key   TEXT PRIMARY KEY,
    value BLOB NOT NULL
) STRICT;

CREATE TABLE clients (
    id           TEXT PRIMARY KEY,
    created_at   INTEGER NOT NULL,
    last_used_at INTEGER,
    record       TEXT NOT NULL
) STRICT;
CREATE INDEX clients_unused ON clients (created_at) WHERE last_used_at IS NULL;

CREATE TABLE users (
    id     TEXT PRIMARY KEY,
    record TEXT NOT NULL
) STRICT;

CREATE TABLE logins (
    hash       BLOB PRIMARY KEY,
    user_id    TEXT NOT NULL REFERENCES users (id),
    expires_at INTEGER NOT NULL,
    record     BLOB NOT NULL    -- sealed
) STRICT;
CREATE INDEX logins_by_user ON logins (user_id);
CREATE INDEX logins_by_expiry ON logins (expires_at);

CREATE TABLE transactions (
    id         TEXT PRIMARY KEY,
    expires_at INTEGER NOT NULL,
    record     TEXT NOT NULL
) STRICT;
CREATE INDEX transactions_by_expiry ON transactions (expires_at);

CREATE TABLE legs (
    state      BLOB PRIMARY KEY,
    expires_at INTEGER NOT NULL,
    record     BLOB NOT NULL    -- sealed
) STRICT;
CREATE INDEX legs_by_expiry ON legs (expires_at);

CREATE TABLE consents (
    user_id   TEXT NOT NULL,
    client_id TEXT NOT NULL,
    resource  TEXT NOT NULL,
    record    TEXT NOT NULL,
    PRIMARY KEY (user_id, client_id, resource)
) STRICT;

CREATE TABLE grants (
    id           TEXT PRIMARY KEY,
    user_id      TEXT NOT NULL REFERENCES users (id),
    created_at   INTEGER NOT NULL,
    revoked_at   INTEGER,
    tokens_until INTEGER NOT NULL,    -- when its last token expires: from then on the grant is of no use
    record       TEXT NOT NULL
) STRICT;
CREATE INDEX grants_by_user ON grants (user_id, created_at DESC);
CREATE INDEX grants_by_expiry ON grants (tokens_until);

CREATE TABLE codes (
    hash       BLOB PRIMARY KEY,
    grant_id   TEXT,    -- the grant it became; set exactly once
    expires_at INTEGER NOT NULL,
    record     TEXT NOT NULL
) STRICT;
CREATE INDEX codes_by_expiry ON codes (expires_at);

CREATE TABLE access_tokens (
    hash       BLOB PRIMARY KEY,
    grant_id   TEXT NOT NULL REFERENCES grants (id),
    expires_at INTEGER NOT NULL,
    scopes     TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX access_tokens_by_grant ON access_tokens (grant_id);
CREATE INDEX access_tokens_by_expiry ON access_tokens (expires_at);

CREATE TABLE refresh_tokens (
    hash             BLOB PRIMARY KEY,
    grant_id         TEXT NOT NULL REFERENCES grants (id),
    expires_at       INTEGER NOT NULL,
    used_at          INTEGER,    -- set exactly once
    successor_until  INTEGER,    -- the end of the grace window
    successor_secret BLOB        -- sealed; wiped when the grace window is over
) STRICT, WITHOUT ROWID;
CREATE INDEX refresh_tokens_by_grant ON refresh_tokens (grant_id);
CREATE INDEX refresh_tokens_by_expiry ON refresh_tokens (expires_at);
CREATE INDEX refresh_tokens_by_grace ON refresh_tokens (successor_until) WHERE successor_secret IS NOT NULL;
