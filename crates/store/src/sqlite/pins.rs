//! Pins. The column `tool` has what each is about, as `PinSubject::to_stored` says. What an
//! administrator decided about goes only by the administrator's hand: nothing here expires.

use std::sync::Arc;

use async_trait::async_trait;
use portunus_core::{
    Timestamp,
    ids::ServerName,
    pins::{Definition, Fingerprint, Pin, PinSubject, SeenItem},
    store::{PinRecord, PinStore, StoreError},
};
use rusqlite::{Connection, Row, named_params, params};

use super::{database::Database, failure::Failure};

pub(super) struct SqlitePinStore(pub(super) Arc<Database>);

#[async_trait]
impl PinStore for SqlitePinStore {
    async fn find_pins(&self, server: &ServerName) -> Result<Vec<Pin>, StoreError> {
        let server = server.as_str().to_owned();
        self.0
            .read(move |db| {
                let mut statement = db.prepare_cached(
                    "SELECT tool, fingerprint, approved_at IS NOT NULL FROM pins WHERE server = ?1 ORDER BY tool, id",
                )?;
                let mut rows = statement.query(params![server])?;
                let mut pins: Vec<Pin> = Vec::new();
                while let Some(row) = rows.next()? {
                    let subject = subject(row, 0)?;
                    let (fingerprint, is_approved) = (Fingerprint::from_bytes(row.get(1)?), row.get(2)?);
                    if pins.last().is_none_or(|pin| pin.subject != subject) {
                        pins.push(Pin { subject, approved: Vec::new(), quarantined: Vec::new() });
                    }
                    let Some(pin) = pins.last_mut() else { continue };
                    if is_approved { pin.approved.push(fingerprint) } else { pin.quarantined.push(fingerprint) }
                }
                Ok(pins)
            })
            .await
    }

    async fn pin_items(
        &self,
        server: &ServerName,
        seen: &[SeenItem],
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let (server, seen) = (server.as_str().to_owned(), seen.to_vec());
        self.0
            .write(move |db| {
                // One that waits in quarantine without an approved one beside it has lost its pin;
                // so it may be the pin.
                let mut statement = db.prepare_cached(
                    "INSERT INTO pins (server, tool, fingerprint, seen_at, approved_at, definition)
                     SELECT :server, :tool, :fingerprint, :now, :now, :definition
                     WHERE NOT EXISTS (SELECT 1 FROM pins WHERE server = :server AND tool = :tool AND approved_at IS NOT NULL)
                     ON CONFLICT (server, tool, fingerprint) DO UPDATE SET approved_at = excluded.approved_at",
                )?;
                for item in &seen {
                    statement.execute(named_params! {
                        ":server": server, ":tool": item.subject.to_stored(), ":fingerprint": item.fingerprint.as_bytes(),
                        ":now": now.as_millis(), ":definition": item.definition.as_str(),
                    })?;
                }
                Ok(())
            })
            .await
    }

    async fn quarantine(
        &self,
        server: &ServerName,
        seen: &[SeenItem],
        keep: u32,
        now: Timestamp,
    ) -> Result<Vec<Fingerprint>, StoreError> {
        let (server, seen) = (server.as_str().to_owned(), seen.to_vec());
        self.0
            .write(move |db| {
                let mut fresh = Vec::new();
                for item in &seen {
                    if note(db, &server, item, now)? {
                        fresh.push(item.fingerprint);
                        make_room(db, &server, &item.subject.to_stored(), keep)?;
                    }
                }
                Ok(fresh)
            })
            .await
    }

    async fn approve(
        &self,
        server: &ServerName,
        fingerprint: &Fingerprint,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let (server, fingerprint) = (server.as_str().to_owned(), *fingerprint);
        self.0
            .write(move |db| {
                let approved = db
                    .prepare_cached(
                        "UPDATE pins SET approved_at = ?3 WHERE server = ?1 AND fingerprint = ?2 AND approved_at IS NULL",
                    )?
                    .execute(params![server, fingerprint.as_bytes(), now.as_millis()])?;
                Ok(approved > 0)
            })
            .await
    }

    async fn forget(
        &self,
        server: &ServerName,
        subject: Option<&PinSubject>,
    ) -> Result<u64, StoreError> {
        let subject = subject.map(|subject| subject.to_stored().into_owned());
        let server = server.as_str().to_owned();
        self.0
            .write(move |db| {
                let whose = params![server, subject];
                let count: u32 = db
                    .prepare_cached("SELECT count(DISTINCT tool) FROM pins WHERE server = ?1 AND tool = coalesce(?2, tool)")?
                    .query_row(whose, |row| row.get(0))?;
                db.prepare_cached("DELETE FROM pins WHERE server = ?1 AND tool = coalesce(?2, tool)")?.execute(whose)?;
                Ok(u64::from(count))
            })
            .await
    }

    async fn list_pins(&self, server: Option<&ServerName>) -> Result<Vec<PinRecord>, StoreError> {
        let server = server.map(|server| server.as_str().to_owned());
        self.0
            .read(move |db| {
                let mut statement = db.prepare_cached(
                    "SELECT server, tool, fingerprint, seen_at, approved_at, definition FROM pins
                     WHERE server = coalesce(?1, server) ORDER BY server, tool, id",
                )?;
                let mut rows = statement.query(params![server])?;
                let mut records = Vec::new();
                while let Some(row) = rows.next()? {
                    records.push(record(row)?);
                }
                Ok(records)
            })
            .await
    }
}

/// `true` unless it was known.
fn note(db: &Connection, server: &str, item: &SeenItem, now: Timestamp) -> Result<bool, Failure> {
    let noted = db
        .prepare_cached(
            "INSERT INTO pins (server, tool, fingerprint, seen_at, definition) VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT (server, tool, fingerprint) DO NOTHING",
        )?
        .execute(params![
            server,
            item.subject.to_stored(),
            item.fingerprint.as_bytes(),
            now.as_millis(),
            item.definition.as_str()
        ])?;
    Ok(noted > 0)
}

fn make_room(db: &Connection, server: &str, subject: &str, keep: u32) -> Result<(), Failure> {
    db.prepare_cached(
        "DELETE FROM pins WHERE id IN (SELECT id FROM pins WHERE server = ?1 AND tool = ?2 AND approved_at IS NULL
         ORDER BY id DESC LIMIT -1 OFFSET ?3)",
    )?
    .execute(params![server, subject, keep])?;
    Ok(())
}

fn subject(row: &Row<'_>, column: usize) -> Result<PinSubject, Failure> {
    Ok(PinSubject::from_stored(&row.get::<_, String>(column)?))
}

fn record(row: &Row<'_>) -> Result<PinRecord, Failure> {
    let server: String = row.get(0)?;
    let millis = |at: i64| Timestamp::from_millis(at);
    Ok(PinRecord {
        server: ServerName::parse(&server)
            .map_err(|error| Failure::corrupt(format!("pins.server: {error}")))?,
        subject: subject(row, 1)?,
        fingerprint: Fingerprint::from_bytes(row.get(2)?),
        seen_at: millis(row.get(3)?),
        approved_at: row.get::<_, Option<i64>>(4)?.map(millis),
        definition: Definition::from_stored(row.get::<_, String>(5)?),
    })
}
