-- Whose a task of a server is, under a hash of owner, server and the task's id.
CREATE TABLE tasks (
    id         BLOB PRIMARY KEY,
    user_id    TEXT NOT NULL,
    expires_at INTEGER NOT NULL,
    record     TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX tasks_by_expiry ON tasks (expires_at);
