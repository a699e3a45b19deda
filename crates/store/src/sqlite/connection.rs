//! The database file and the connections to it: created private, checked to be ours, set up to lose
//! nothing. Next door: [`super::migrations`] lays the tables, [`super::key_check`] checks the
//! secret, [`super::database`] runs the work.

use std::{fs, io, path::Path, time::Duration};

use rusqlite::{Connection, OpenFlags};

use super::{migrations, open_error::OpenError};

/// How long SQLite waits for another process that is writing.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// Of SQLite's page cache, per connection, in KiB: the operating system caches the file as well.
const CACHE_KIB: i64 = 1024;
/// The write-ahead log is cut back to this many bytes after a burst.
const WAL_LIMIT: i64 = 16 * 1024 * 1024;

/// What is where a database is to be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Nothing yet: a file can be made there.
    Empty,
    /// A database of ours that no connection has open.
    Free,
    InUse,
}

/// Looks at the place of a database, as [`super::open`] would find it. Changes nothing.
pub fn place(path: &Path) -> Result<Place, OpenError> {
    let dir = directory_of(path)?;
    if path.exists() {
        return Ok(if is_in_use(path)? { Place::InUse } else { Place::Free });
    }
    match rustix::fs::access(dir, rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK) {
        Ok(()) => Ok(Place::Empty),
        Err(errno) => Err(OpenError::Create { path: path.to_owned(), source: errno.into() }),
    }
}

/// The directory that the file is in, or is to be in.
fn directory_of(path: &Path) -> Result<&Path, OpenError> {
    let dir = match path.parent() {
        Some(dir) if !dir.as_os_str().is_empty() => dir,
        _ => Path::new("."),
    };
    if !dir.is_dir() {
        return Err(OpenError::MissingDirectory { path: path.to_owned(), dir: dir.to_owned() });
    }
    if path.is_dir() {
        return Err(OpenError::IsDirectory { path: path.to_owned() });
    }
    Ok(dir)
}

/// Makes sure that there is a file, readable for its owner only. SQLite gives the files beside it
/// (`-wal`, `-shm`) the same permissions.
pub(super) fn prepare_file(path: &Path) -> Result<(), OpenError> {
    directory_of(path)?;
    match private_file(path) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            warn_if_readable_by_others(path);
            Ok(())
        }
        Err(source) => Err(OpenError::Create { path: path.to_owned(), source }),
    }
}

#[cfg(unix)]
fn private_file(path: &Path) -> io::Result<fs::File> {
    use std::os::unix::fs::OpenOptionsExt as _;
    fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

#[cfg(not(unix))]
fn private_file(path: &Path) -> io::Result<fs::File> {
    fs::OpenOptions::new().write(true).create_new(true).open(path)
}

#[cfg(unix)]
fn warn_if_readable_by_others(path: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    if let Ok(metadata) = fs::metadata(path)
        && metadata.permissions().mode() & 0o077 != 0
    {
        tracing::warn!(path = %path.display(), "the database file is open to other users of this machine: chmod 600 it");
    }
}

#[cfg(not(unix))]
fn warn_if_readable_by_others(_path: &Path) {}

/// Opens the file as it is, and changes nothing in it.
pub(super) fn connect(path: &Path) -> Result<Connection, OpenError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let failed = |source| OpenError::from_sqlite(path, source);
    let connection = Connection::open_with_flags(path, flags).map_err(failed)?;
    connection.busy_timeout(BUSY_TIMEOUT).map_err(failed)?;
    if connection.is_readonly("main").map_err(failed)? {
        return Err(OpenError::NotWritable { path: path.to_owned() });
    }
    Ok(connection)
}

/// Does another process, or another connection of this one, have this database open? A connection
/// holds a shared lock for as long, so that a request for the whole database is refused. Changes
/// nothing.
pub fn is_in_use(path: &Path) -> Result<bool, OpenError> {
    if !path.exists() {
        return Ok(false);
    }
    migrations::check(&connect(path)?, path)?;
    // Another connection: one that has read in the log would share it from then on.
    let connection = connect(path)?;
    let asked = connection
        .busy_timeout(Duration::ZERO)
        .and_then(|()| {
            connection.pragma_update_and_check(None, "locking_mode", "EXCLUSIVE", |_| Ok(()))
        })
        .and_then(|()| connection.execute_batch("BEGIN EXCLUSIVE; ROLLBACK"));
    match asked.map_err(|source| OpenError::from_sqlite(path, source)) {
        Ok(()) => Ok(false),
        Err(OpenError::Locked { .. }) => Ok(true),
        Err(error) => Err(error),
    }
}

/// Write-ahead log, and every commit on disk before it is acknowledged: a token we handed out
/// survives a power cut.
pub(super) fn set_up_writer(connection: &Connection, path: &Path) -> Result<(), OpenError> {
    let failed = |source| OpenError::from_sqlite(path, source);
    let mode: String = connection
        .pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))
        .map_err(failed)?;
    if !mode.eq_ignore_ascii_case("wal") {
        return Err(OpenError::NoWriteAheadLog { path: path.to_owned(), mode });
    }
    let set = || {
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.pragma_update(None, "journal_size_limit", WAL_LIMIT)?;
        connection.pragma_update(None, "foreign_keys", true)?;
        connection.pragma_update(None, "trusted_schema", false)?;
        // No temporary files: a container may have no place for them.
        connection.pragma_update(None, "temp_store", "MEMORY")?;
        connection.pragma_update(None, "cache_size", -CACHE_KIB)
    };
    set().map_err(failed)
}

pub(super) fn connect_reader(path: &Path) -> Result<Connection, OpenError> {
    let connection = connect(path)?;
    let set = || {
        connection.pragma_update(None, "query_only", true)?;
        connection.pragma_update(None, "trusted_schema", false)?;
        connection.pragma_update(None, "temp_store", "MEMORY")?;
        connection.pragma_update(None, "cache_size", -CACHE_KIB)
    };
    set().map_err(|source| OpenError::from_sqlite(path, source))?;
    Ok(connection)
}
