//! Why a database file cannot be used, told when it is opened ([`super::connection`]).

use std::{
    io,
    path::{Path, PathBuf},
};

use rusqlite::ErrorCode;
use thiserror::Error;

use crate::seal::SealError;

/// Why a database cannot be used, and what to change.
#[derive(Debug, Error)]
pub enum OpenError {
    #[error("cannot keep the database at {}: there is no directory {}; create it, or change DB_PATH", path.display(), dir.display())]
    MissingDirectory { path: PathBuf, dir: PathBuf },
    #[error("cannot keep the database at {}: that is a directory; DB_PATH must name a file", path.display())]
    IsDirectory { path: PathBuf },
    #[error("cannot create the database file {}: {source}; make its directory writable for this user, or change DB_PATH", path.display())]
    Create { path: PathBuf, source: io::Error },
    #[error("the database file {} cannot be written; give this user write access to it and to its directory, or change DB_PATH", path.display())]
    NotWritable { path: PathBuf },
    #[error("{} is not an SQLite database; move it away, or change DB_PATH", path.display())]
    NotSqlite { path: PathBuf },
    #[error("{} is an SQLite database of another program; move it away, or change DB_PATH", path.display())]
    Foreign { path: PathBuf },
    #[error("{} was last used by a newer Portunus (its schema is {found}, this one knows up to {known}); use that one or a newer one", path.display())]
    Newer { path: PathBuf, found: i64, known: i64 },
    #[error("{} was last used by an older Portunus (its schema is {found}, this one's is {known}); start the gateway once, which brings it up to date", path.display())]
    Older { path: PathBuf, found: i64, known: i64 },
    #[error("AUTH_SECRET differs from the one that created the database {}; restore it, or keep the old one in AUTH_SECRET_PREVIOUS while you rotate", path.display())]
    WrongSecret { path: PathBuf },
    #[error("the database {} cannot use a write-ahead log (SQLite chose {mode:?}); keep it on a local disk", path.display())]
    NoWriteAheadLog { path: PathBuf, mode: String },
    #[error("the database {} cannot be sealed or unsealed: {source}", path.display())]
    Seal { path: PathBuf, source: SealError },
    #[error("the database {} is locked by another process", path.display())]
    Locked { path: PathBuf },
    #[error("the database {} cannot be opened: {source}", path.display())]
    Sqlite { path: PathBuf, source: rusqlite::Error },
    #[error("cannot start a thread for the database: {0}")]
    Thread(io::Error),
}

impl OpenError {
    pub(super) fn from_sqlite(path: &Path, source: rusqlite::Error) -> Self {
        let path = path.to_owned();
        match source.sqlite_error_code() {
            Some(ErrorCode::NotADatabase) => Self::NotSqlite { path },
            Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => Self::NotWritable { path },
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Locked { path },
            _ => Self::Sqlite { path, source },
        }
    }
}
