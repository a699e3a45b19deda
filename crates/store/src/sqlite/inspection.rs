//! Looks through the database and changes nothing: SQLite's own checks, every record read as a
//! gateway would, and what has to fit together.

use std::path::Path;

use portunus_core::store::RecordKind;
use rusqlite::Connection;

use super::{
    archive::export::{Portion, everything, shown},
    connection,
    failure::Failure,
    key_check::{self, SEALED},
    migrations,
    open_error::OpenError,
};
use crate::{
    inspection::{Findings, Inspection},
    seal::Sealer,
};

/// Of what SQLite finds wrong with its own pages.
const MOST_OF_ITS_OWN: u32 = 100;

/// What has to fit together: kind, what is wrong, which ids, what to do.
const RULES: [(RecordKind, &str, &str, &str); 12] = [
    (
        RecordKind::Login,
        "of a user who is not there",
        "SELECT hash FROM logins WHERE user_id NOT IN (SELECT id FROM users)",
        NOT_WHOLE,
    ),
    (
        RecordKind::Grant,
        "of a user who is not there",
        "SELECT id FROM grants WHERE user_id NOT IN (SELECT id FROM users)",
        NOT_WHOLE,
    ),
    (
        RecordKind::Grant,
        "live, of a registered client that is not there",
        "SELECT id FROM grants WHERE revoked_at IS NULL AND client_id LIKE 'ptn\\_client\\_%' ESCAPE '\\'
         AND client_id NOT IN (SELECT id FROM clients)",
        "revoke it: portunus grants revoke ID",
    ),
    (
        RecordKind::Grant,
        "ends before its last token",
        "SELECT id FROM grants WHERE tokens_until < (SELECT max(expires_at) FROM
         (SELECT expires_at, grant_id FROM access_tokens UNION ALL SELECT expires_at, grant_id FROM refresh_tokens
          UNION ALL SELECT expires_at, grant_id FROM refresh_families)
         WHERE grant_id = grants.id)",
        "it cannot be deleted in its time; revoke it: portunus grants revoke ID",
    ),
    (
        RecordKind::Grant,
        "its record names another id, user or client",
        "SELECT id FROM grants WHERE json_valid(record)
         AND (record ->> '$.id', record ->> '$.user', record ->> '$.client') IS NOT (id, user_id, client_id)",
        CHANGED,
    ),
    (
        RecordKind::AccessToken,
        "of a grant that is not there",
        "SELECT hash FROM access_tokens WHERE grant_id NOT IN (SELECT id FROM grants)",
        NOT_WHOLE,
    ),
    (
        RecordKind::RefreshToken,
        "of a grant that is not there",
        "SELECT hash FROM refresh_tokens WHERE grant_id NOT IN (SELECT id FROM grants)",
        NOT_WHOLE,
    ),
    (
        RecordKind::RefreshToken,
        "of a grant that is not there",
        "SELECT id FROM refresh_families WHERE grant_id NOT IN (SELECT id FROM grants)",
        NOT_WHOLE,
    ),
    (
        RecordKind::Consent,
        "its record names another user or client",
        "SELECT user_id || ' ' || client_id FROM consents WHERE json_valid(record)
         AND (record ->> '$.user', record ->> '$.client') IS NOT (user_id, client_id)",
        CHANGED,
    ),
    (
        RecordKind::Client,
        "its record names another id",
        "SELECT id FROM clients WHERE json_valid(record) AND record ->> '$.id' IS NOT id",
        CHANGED,
    ),
    (
        RecordKind::User,
        "its record names another id",
        "SELECT id FROM users WHERE json_valid(record) AND record ->> '$.id' IS NOT id",
        CHANGED,
    ),
    (
        RecordKind::Transaction,
        "its record names another id",
        "SELECT id FROM transactions WHERE json_valid(record) AND record ->> '$.id' IS NOT id",
        CHANGED,
    ),
];
const NOT_WHOLE: &str = "the database is not as it was written: restore a backup";
const CHANGED: &str =
    "somebody or something changed the database: restore a backup, or revoke what it stands for";

type Step = fn(&Connection, &Sealer, &mut Findings) -> Result<(), Failure>;

/// Reads everything. A database that this build would bring up to date first, or that is sealed
/// with another secret, is refused.
pub fn inspect(path: &Path, sealer: &Sealer) -> Result<Inspection, OpenError> {
    let failed = |source| OpenError::from_sqlite(path, source);
    let mut connection = connection::connect_reader(path)?;
    let db = connection.transaction().map_err(failed)?;
    migrations::check_current(&db, path)?;
    key_check::look(&db, sealer, path)?;
    let mut findings = Findings::default();
    let steps: [Step; 5] = [of_its_own, read_all, count_seals, fit_together, foreign_keys];
    for step in steps {
        // A damaged page ends one step, and the next may say more.
        if let Err(Failure(error)) = step(&db, sealer, &mut findings) {
            findings.of_store(error.to_string(), "could not be read to the end", NOT_WHOLE);
        }
    }
    Ok(findings.finish())
}

fn of_its_own(db: &Connection, _: &Sealer, findings: &mut Findings) -> Result<(), Failure> {
    let mut statement = db.prepare(&format!("PRAGMA integrity_check({MOST_OF_ITS_OWN})"))?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let told: String = row.get(0)?;
        if told != "ok" {
            findings.of_store(told, "SQLite finds the file damaged (integrity_check)", NOT_WHOLE);
        }
    }
    Ok(())
}

fn read_all(db: &Connection, sealer: &Sealer, findings: &mut Findings) -> Result<(), Failure> {
    everything(db, sealer, &mut |portion| {
        match portion {
            Portion::Records(records) => findings.count(&records),
            Portion::LeftOut(record) => findings.unreadable(record),
        }
        true
    })
}

fn count_seals(db: &Connection, sealer: &Sealer, findings: &mut Findings) -> Result<(), Failure> {
    for (table, _, column) in SEALED {
        let mut statement =
            db.prepare(&format!("SELECT {column} FROM {table} WHERE {column} IS NOT NULL"))?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            findings.sealed(sealer.generation(&row.get::<_, Vec<u8>>(0)?));
        }
    }
    Ok(())
}

fn fit_together(db: &Connection, _: &Sealer, findings: &mut Findings) -> Result<(), Failure> {
    for (kind, what, sql, advice) in RULES {
        let mut statement = db.prepare(sql)?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            findings.problem(kind, shown(row.get_ref(0)?), what, advice);
        }
    }
    Ok(())
}

/// The rules above name what is wrong with the references of today; this is for those of tables to
/// come.
fn foreign_keys(db: &Connection, _: &Sealer, findings: &mut Findings) -> Result<(), Failure> {
    let mut statement =
        db.prepare("SELECT DISTINCT \"table\", parent FROM pragma_foreign_key_check")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let (table, parent): (String, String) = (row.get(0)?, row.get(1)?);
        findings.of_store(
            format!("{table} to {parent}"),
            "SQLite finds references to nothing (foreign_key_check)",
            NOT_WHOLE,
        );
    }
    Ok(())
}
