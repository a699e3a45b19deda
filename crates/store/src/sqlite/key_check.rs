//! Is this the `AUTH_SECRET` the database was sealed with? One sealed row tells at start, before
//! any login or refresh fails for a reason that its error does not show. When the secret was
//! rotated, everything sealed is sealed anew, so that the earlier secret can be dropped at the next
//! start.

use std::path::Path;

use rusqlite::{Connection, OptionalExtension as _, TransactionBehavior, params};

use super::{failure::Failure, open_error::OpenError};
use crate::seal::{Place, SealError, Sealer};

const KEY: &str = "sentinel";
const PLACE: Place<'static> = Place { table: "meta", column: "value", key: KEY.as_bytes() };
const TEXT: &[u8] = b"portunus";

/// Every sealed column: table, primary key, column.
pub(super) const SEALED: [(&str, &str, &str); 5] = [
    ("logins", "hash", "record"),
    ("legs", "state", "record"),
    ("refresh_families", "id", "secret"),
    ("sessions", "id", "state"),
    ("provider_tokens", "id", "record"),
];

enum Trouble {
    Sqlite(rusqlite::Error),
    Seal(SealError),
}

impl From<rusqlite::Error> for Trouble {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

impl From<SealError> for Trouble {
    fn from(error: SealError) -> Self {
        Self::Seal(error)
    }
}

/// Checks the secret against the sentinel; sets the sentinel in a new database.
pub(super) fn check(
    connection: &mut Connection,
    sealer: &Sealer,
    path: &Path,
) -> Result<(), OpenError> {
    check_or_set(connection, sealer).map_err(|trouble| match trouble {
        Trouble::Sqlite(source) => OpenError::from_sqlite(path, source),
        Trouble::Seal(SealError::UnknownKey) => OpenError::WrongSecret { path: path.to_owned() },
        Trouble::Seal(source) => OpenError::Seal { path: path.to_owned(), source },
    })
}

/// Is this one of the secrets the database was sealed with? Changes nothing.
pub(super) fn look(connection: &Connection, sealer: &Sealer, path: &Path) -> Result<(), OpenError> {
    let kept: Option<Vec<u8>> = connection
        .query_row("SELECT value FROM meta WHERE key = ?1", [KEY], |row| row.get(0))
        .optional()
        .map_err(|source| OpenError::from_sqlite(path, source))?;
    match kept.map(|ciphertext| sealer.open(PLACE, &ciphertext)) {
        None | Some(Ok(_)) => Ok(()),
        Some(Err(SealError::UnknownKey)) => Err(OpenError::WrongSecret { path: path.to_owned() }),
        Some(Err(source)) => Err(OpenError::Seal { path: path.to_owned(), source }),
    }
}

fn check_or_set(connection: &mut Connection, sealer: &Sealer) -> Result<(), Trouble> {
    let step = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    renew(&step, sealer)?;
    step.commit()?;
    Ok(())
}

/// Seals anew what was sealed with an earlier secret, the sentinel last. In a transaction of the
/// caller's.
fn renew(step: &Connection, sealer: &Sealer) -> Result<(), Trouble> {
    let kept: Option<Vec<u8>> = step
        .query_row("SELECT value FROM meta WHERE key = ?1", [KEY], |row| row.get(0))
        .optional()?;
    if let Some(ciphertext) = &kept {
        sealer.open(PLACE, ciphertext)?;
    }
    // A current sentinel does not say that all else is: a gateway may have gone on with the earlier
    // secret for a while.
    if sealer.has_earlier() || !kept.is_some_and(|ciphertext| sealer.is_current(&ciphertext)) {
        for (table, key, column) in SEALED {
            reseal(step, sealer, table, key, column)?;
        }
        let ciphertext = sealer.seal(PLACE, TEXT)?;
        step.execute(
            "INSERT OR REPLACE INTO meta (key, value) VALUES (?1, ?2)",
            params![KEY, ciphertext],
        )?;
    }
    Ok(())
}

/// The same while the store is open: the secrets were changed.
pub(super) fn renew_open(step: &Connection, sealer: &Sealer) -> Result<(), Failure> {
    renew(step, sealer).map_err(|trouble| match trouble {
        Trouble::Sqlite(error) => error.into(),
        Trouble::Seal(error) => error.into(),
    })
}

fn reseal(
    connection: &Connection,
    sealer: &Sealer,
    table: &str,
    key: &str,
    column: &str,
) -> Result<(), Trouble> {
    let mut rows = connection
        .prepare(&format!("SELECT {key}, {column} FROM {table} WHERE {column} IS NOT NULL"))?;
    let rows =
        rows.query_map([], |row| Ok((row.get::<_, Vec<u8>>(0)?, row.get::<_, Vec<u8>>(1)?)))?;
    let mut update =
        connection.prepare(&format!("UPDATE {table} SET {column} = ?2 WHERE {key} = ?1"))?;
    // Collected first: a table is not changed while it is read.
    for (key, ciphertext) in rows.collect::<Result<Vec<_>, _>>()? {
        let place = Place { table, column, key: &key };
        match sealer.open(place, &ciphertext) {
            Ok(plaintext) => {
                update.execute(params![key, sealer.seal(place, &plaintext)?])?;
            }
            // Lost already; a look-up of it says so.
            Err(error) => {
                tracing::warn!(table, column, %error, "a sealed value cannot be opened and was left as it is");
            }
        }
    }
    Ok(())
}
