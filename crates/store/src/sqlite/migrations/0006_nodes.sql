-- Gateways on this store, whose home each of them is, and the MCP sessions that go with their users from one to the next.
CREATE TABLE nodes (
    id          TEXT PRIMARY KEY,
    url         TEXT NOT NULL,
    alive_until INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE homes (
    user_id    TEXT PRIMARY KEY,
    node       TEXT NOT NULL,
    kept_until INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX homes_by_node ON homes (node);

CREATE TABLE sessions (
    id         BLOB PRIMARY KEY,
    user_id    TEXT NOT NULL,
    expires_at INTEGER NOT NULL,
    state      BLOB NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX sessions_by_expiry ON sessions (expires_at);
