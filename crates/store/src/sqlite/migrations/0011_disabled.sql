-- What an administrator disabled: `kind` and `id` as records call it. Nothing here expires.
CREATE TABLE disabled (
    kind   TEXT NOT NULL,
    id     TEXT NOT NULL,
    at     INTEGER NOT NULL,
    record TEXT NOT NULL,
    PRIMARY KEY (kind, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX disabled_by_time ON disabled (at);
