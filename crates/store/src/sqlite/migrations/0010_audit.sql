-- The audit trail: the records of each chain as they were written, and how far each has come, signed.
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
CREATE INDEX audit_records_by_time ON audit_records (at);
