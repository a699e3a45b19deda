-- What servers said of their tools: one row for each fingerprint. Until it is approved it is in quarantine.
CREATE TABLE pins (
    id          INTEGER PRIMARY KEY,
    server      TEXT NOT NULL,
    tool        TEXT NOT NULL,
    fingerprint BLOB NOT NULL,
    seen_at     INTEGER NOT NULL,
    approved_at INTEGER,
    -- Last, for it is long: who wants only the fingerprints does not read it.
    definition  TEXT NOT NULL,
    UNIQUE (server, tool, fingerprint)
) STRICT;
