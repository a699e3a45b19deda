//! The schema and its history: numbered SQL files in `migrations/`, applied at start in one
//! transaction. `user_version` says how far a database has come, `application_id` that it is ours.

use std::path::Path;

use rusqlite::{Connection, TransactionBehavior};

use super::open_error::OpenError;

/// "PTNS", so that `file` and we ourselves know our databases from others'.
const APPLICATION_ID: i64 = 0x5054_4E53;

const MIGRATIONS: [&str; 12] = [
    include_str!("migrations/0001_initial.sql"),
    include_str!("migrations/0002_grants_by_client.sql"),
    include_str!("migrations/0003_grants_of.sql"),
    include_str!("migrations/0004_assertions.sql"),
    include_str!("migrations/0005_pins.sql"),
    include_str!("migrations/0006_nodes.sql"),
    include_str!("migrations/0007_addresses.sql"),
    include_str!("migrations/0008_refresh_families.sql"),
    include_str!("migrations/0009_tasks.sql"),
    include_str!("migrations/0010_audit.sql"),
    include_str!("migrations/0011_disabled.sql"),
    include_str!("migrations/0012_provider_tokens.sql"),
];

/// The schema this build knows.
#[expect(clippy::cast_possible_wrap, reason = "a handful of migrations")]
pub(super) const KNOWN: i64 = MIGRATIONS.len() as i64;

/// Refuses a database of another program or of a newer Portunus. Reads only: a stranger's file
/// stays as it was.
pub(super) fn check(connection: &Connection, path: &Path) -> Result<(), OpenError> {
    let failed = |source| OpenError::from_sqlite(path, source);
    let tables: i64 = connection
        .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
        .map_err(failed)?;
    if tables > 0 && pragma(connection, "application_id").map_err(failed)? != APPLICATION_ID {
        return Err(OpenError::Foreign { path: path.to_owned() });
    }
    match pragma(connection, "user_version").map_err(failed)? {
        found if found > KNOWN => {
            Err(OpenError::Newer { path: path.to_owned(), found, known: KNOWN })
        }
        _ => Ok(()),
    }
}

/// Refuses a database that [`apply`] would change: for those who only look.
pub(super) fn check_current(connection: &Connection, path: &Path) -> Result<(), OpenError> {
    check(connection, path)?;
    match pragma(connection, "user_version")
        .map_err(|source| OpenError::from_sqlite(path, source))?
    {
        KNOWN => Ok(()),
        found => Err(OpenError::Older { path: path.to_owned(), found, known: KNOWN }),
    }
}

/// Brings the schema up to date: all missing steps, or none.
pub(super) fn apply(connection: &mut Connection, path: &Path) -> Result<(), OpenError> {
    apply_missing(connection).map_err(|source| OpenError::from_sqlite(path, source))
}

fn apply_missing(connection: &mut Connection) -> rusqlite::Result<()> {
    let step = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // Read under the write lock: of two processes starting at once, the second finds the work done.
    let done = usize::try_from(pragma(&step, "user_version")?).unwrap_or_default();
    if done < MIGRATIONS.len() {
        for sql in MIGRATIONS.iter().skip(done) {
            step.execute_batch(sql)?;
        }
        step.pragma_update(None, "application_id", APPLICATION_ID)?;
        step.pragma_update(None, "user_version", KNOWN)?;
    }
    step.commit()
}

fn pragma(connection: &Connection, name: &str) -> rusqlite::Result<i64> {
    connection.pragma_query_value(None, name, |row| row.get(0))
}
