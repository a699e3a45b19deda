//! Nodes and homes. Two gateways do not share a file, but one that was restarted finds its users'
//! homes as the last one left them.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use portunus_core::{
    ids::{NodeId, UserId},
    node::Node,
    store::{NodeStore, StoreError},
};
use rusqlite::{OptionalExtension as _, params};

use super::database::Database;

pub(super) struct SqliteNodeStore(pub(super) Arc<Database>);

/// The database's own clock, in milliseconds.
const CLOCK: &str = "CAST(unixepoch('subsec') * 1000 AS INTEGER)";

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX / 2)
}

#[async_trait]
impl NodeStore for SqliteNodeStore {
    async fn beat(&self, node: &Node, alive_for: Duration) -> Result<(), StoreError> {
        let (id, url, alive_for) =
            (node.id.as_str().to_owned(), node.url.clone(), millis(alive_for));
        self.0
            .write(move |db| {
                db.prepare_cached(&format!(
                    "INSERT INTO nodes (id, url, alive_until) VALUES (?1, ?2, {CLOCK} + ?3)
                     ON CONFLICT (id) DO UPDATE SET url = excluded.url, alive_until = excluded.alive_until"
                ))?
                .execute(params![id, url, alive_for])?;
                db.prepare_cached(&format!("DELETE FROM nodes WHERE alive_until <= {CLOCK}"))?.execute([])?;
                Ok(())
            })
            .await
    }

    async fn leave(&self, node: &NodeId) -> Result<(), StoreError> {
        let id = node.as_str().to_owned();
        self.0
            .write(move |db| {
                db.prepare_cached("DELETE FROM nodes WHERE id = ?1")?.execute(params![id])?;
                db.prepare_cached("DELETE FROM homes WHERE node = ?1")?.execute(params![id])?;
                Ok(())
            })
            .await
    }

    async fn list_nodes(&self) -> Result<Vec<Node>, StoreError> {
        self.0
            .read(|db| {
                let mut rows = db.prepare_cached(&format!(
                    "SELECT id, url FROM nodes WHERE alive_until > {CLOCK} ORDER BY id"
                ))?;
                let nodes = rows.query_map([], |row| {
                    Ok(Node { id: NodeId::from_text(row.get::<_, String>(0)?), url: row.get(1)? })
                })?;
                Ok(nodes.collect::<rusqlite::Result<_>>()?)
            })
            .await
    }

    async fn claim_ownership(
        &self,
        user: &UserId,
        me: &Node,
        keep_for: Duration,
    ) -> Result<Node, StoreError> {
        let (user, me, keep_for) = (user.as_str().to_owned(), me.clone(), millis(keep_for));
        self.0
            .write(move |db| {
                let other = db
                    .prepare_cached(&format!(
                        "SELECT nodes.id, nodes.url FROM homes JOIN nodes ON nodes.id = homes.node
                         WHERE homes.user_id = ?1 AND nodes.id <> ?2 AND homes.kept_until > {CLOCK} AND nodes.alive_until > {CLOCK}"
                    ))?
                    .query_row(params![user, me.id.as_str()], |row| {
                        Ok(Node { id: NodeId::from_text(row.get::<_, String>(0)?), url: row.get(1)? })
                    })
                    .optional()?;
                if let Some(other) = other {
                    return Ok(other);
                }
                db.prepare_cached(&format!(
                    "INSERT INTO homes (user_id, node, kept_until) VALUES (?1, ?2, {CLOCK} + ?3)
                     ON CONFLICT (user_id) DO UPDATE SET node = excluded.node, kept_until = excluded.kept_until"
                ))?
                .execute(params![user, me.id.as_str(), keep_for])?;
                Ok(me)
            })
            .await
    }

    async fn release_ownership(&self, user: &UserId, node: &NodeId) -> Result<bool, StoreError> {
        let (user, node) = (user.as_str().to_owned(), node.as_str().to_owned());
        self.0
            .write(move |db| {
                let released = db
                    .prepare_cached(&format!("DELETE FROM homes WHERE user_id = ?1 AND node = ?2 AND kept_until > {CLOCK}"))?
                    .execute(params![user, node])?;
                Ok(released > 0)
            })
            .await
    }
}
