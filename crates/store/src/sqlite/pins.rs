//! Pinned tools. What an administrator decided about goes only by the administrator's hand: nothing
//! here expires.

use std::sync::Arc;

use async_trait::async_trait;
use portunus_core::{
    Timestamp,
    ids::ServerName,
    pins::{Definition, Pin, SeenTool, ToolFingerprint},
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
                    let tool: String = row.get(0)?;
                    let (fingerprint, is_approved) = (ToolFingerprint::from_bytes(row.get(1)?), row.get(2)?);
                    if pins.last().is_none_or(|pin| pin.tool != tool) {
                        pins.push(Pin { tool, approved: Vec::new(), quarantined: Vec::new() });
                    }
                    let Some(pin) = pins.last_mut() else { continue };
                    if is_approved { pin.approved.push(fingerprint) } else { pin.quarantined.push(fingerprint) }
                }
                Ok(pins)
            })
            .await
    }

    async fn pin_tools(
        &self,
        server: &ServerName,
        tools: &[SeenTool],
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let (server, tools) = (server.as_str().to_owned(), tools.to_vec());
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
                for tool in &tools {
                    statement.execute(named_params! {
                        ":server": server, ":tool": tool.name, ":fingerprint": tool.fingerprint.as_bytes(),
                        ":now": now.as_millis(), ":definition": tool.definition.as_str(),
                    })?;
                }
                Ok(())
            })
            .await
    }

    async fn quarantine(
        &self,
        server: &ServerName,
        tools: &[SeenTool],
        keep: u32,
        now: Timestamp,
    ) -> Result<Vec<ToolFingerprint>, StoreError> {
        let (server, tools) = (server.as_str().to_owned(), tools.to_vec());
        self.0
            .write(move |db| {
                let mut fresh = Vec::new();
                for tool in &tools {
                    if note(db, &server, tool, now)? {
                        fresh.push(tool.fingerprint);
                        make_room(db, &server, &tool.name, keep)?;
                    }
                }
                Ok(fresh)
            })
            .await
    }

    async fn approve(
        &self,
        server: &ServerName,
        fingerprint: &ToolFingerprint,
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

    async fn forget(&self, server: &ServerName, tool: Option<&str>) -> Result<u64, StoreError> {
        let (server, tool) = (server.as_str().to_owned(), tool.map(str::to_owned));
        self.0
            .write(move |db| {
                let whose = params![server, tool];
                let tools: u32 = db
                    .prepare_cached("SELECT count(DISTINCT tool) FROM pins WHERE server = ?1 AND tool = coalesce(?2, tool)")?
                    .query_row(whose, |row| row.get(0))?;
                db.prepare_cached("DELETE FROM pins WHERE server = ?1 AND tool = coalesce(?2, tool)")?.execute(whose)?;
                Ok(u64::from(tools))
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
fn note(db: &Connection, server: &str, tool: &SeenTool, now: Timestamp) -> Result<bool, Failure> {
    let noted = db
        .prepare_cached(
            "INSERT INTO pins (server, tool, fingerprint, seen_at, definition) VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT (server, tool, fingerprint) DO NOTHING",
        )?
        .execute(params![server, tool.name, tool.fingerprint.as_bytes(), now.as_millis(), tool.definition.as_str()])?;
    Ok(noted > 0)
}

fn make_room(db: &Connection, server: &str, tool: &str, keep: u32) -> Result<(), Failure> {
    db.prepare_cached(
        "DELETE FROM pins WHERE id IN (SELECT id FROM pins WHERE server = ?1 AND tool = ?2 AND approved_at IS NULL
         ORDER BY id DESC LIMIT -1 OFFSET ?3)",
    )?
    .execute(params![server, tool, keep])?;
    Ok(())
}

fn record(row: &Row<'_>) -> Result<PinRecord, Failure> {
    let server: String = row.get(0)?;
    let millis = |at: i64| Timestamp::from_millis(at);
    Ok(PinRecord {
        server: ServerName::parse(&server)
            .map_err(|error| Failure::corrupt(format!("pins.server: {error}")))?,
        tool: row.get(1)?,
        fingerprint: ToolFingerprint::from_bytes(row.get(2)?),
        seen_at: millis(row.get(3)?),
        approved_at: row.get::<_, Option<i64>>(4)?.map(millis),
        definition: Definition::from_stored(row.get::<_, String>(5)?),
    })
}
