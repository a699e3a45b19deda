-- The audit trail: the records of each chain as they were written, and how far each has come, signed. There is no index by
-- time: each call writes a record, and a chain is nearly in the order of time.
CREATE TABLE audit_chains (
    id   TEXT PRIMARY KEY,
    head TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE audit_records (
    chain  TEXT NOT NULL,
    seq    INTEGER NOT NULL,
    at     INTEGER NOT NULL,
    hash   BLOB NOT NULL,
    record TEXT NOT NULL,
    PRIMARY KEY (chain, seq)
) STRICT, WITHOUT ROWID;
