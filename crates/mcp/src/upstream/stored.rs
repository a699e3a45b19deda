//! Stored sessions with legacy HTTP servers. The result of the handshake is stored with the
//! session's id, so that the next process resumes the session and what the server keeps in it
//! survives. Resuming is next door, in [`super::connect`]; when a session ends or is handed over is
//! decided in [`super::pool`].

use std::sync::Arc;

use portunus_core::{ids::UserId, secret::TokenHash};
use serde::{Deserialize, Serialize};

use super::{
    owner::{ConnectionKey, Owner},
    server_info::ServerInfo,
};
use crate::{
    era::Era,
    records::{RecordsDown, SessionRecords},
    spec::{ServerSpec, Transport},
    wire::Payload,
};

/// The largest state that is stored. A session with a larger one ends with the process.
const MAX_BYTES: usize = 256 * 1024;

/// The record in which the session of one connection is stored.
#[derive(Clone)]
pub(super) struct Record {
    records: Arc<dyn SessionRecords>,
    name: String,
    user: UserId,
    /// A hash of the server's address and headers: the configuration may change between two
    /// processes.
    target: String,
}

/// A session, as another process needs it.
pub(super) struct StoredConnection {
    pub(super) session: String,
    pub(super) info: ServerInfo,
    /// How many processes have had it before.
    pub(super) life: u32,
}

#[derive(Serialize, Deserialize)]
struct Written {
    target: String,
    session: String,
    /// The result of `initialize`.
    greeting: String,
    life: u32,
}

impl Record {
    /// The record of a connection; `None` if its session cannot be resumed.
    ///
    /// A session that all users share stays with its process: several processes run it at once, and
    /// one record cannot stand for all of them.
    pub(super) fn of(
        records: Option<&Arc<dyn SessionRecords>>,
        key: &ConnectionKey,
        spec: &ServerSpec,
    ) -> Option<Self> {
        let Transport::Http { url, headers } = &spec.transport else { return None };
        let (user, client, session) = match &key.owner {
            // It is unknown which of a client's lanes another process needs first.
            Owner::Client(..) | Owner::Session(..) if key.lane > 0 => return None,
            Owner::AllUsers => return None,
            Owner::Client(user, client) => (user, client, None),
            Owner::Session(user, client, session) => (user, client, Some(session)),
        };
        let capabilities = key.client_capabilities.capabilities();
        let era = match key.era {
            Era::Legacy => "legacy",
            Era::Modern => "modern",
        };
        let whose = serde_json::json!([
            key.server.as_str(),
            user.as_str(),
            client.as_str(),
            session,
            capabilities.as_str(),
            era
        ]);
        let headers: Vec<_> =
            headers.iter().map(|(name, value)| (name.as_str(), value.expose())).collect();
        let target = serde_json::json!([url.as_str(), headers]);
        Some(Self {
            records: Arc::clone(records?),
            // The space keeps it apart from the ids of clients' sessions.
            name: format!("upstream {whose}"),
            user: user.clone(),
            target: TokenHash::of(&target.to_string()).to_string(),
        })
    }

    /// Finds the stored session.
    pub(super) async fn find(&self) -> Option<StoredConnection> {
        let written = self.read().await.ok()??;
        let info = Payload::from_json(&written.greeting)
            .ok()
            .and_then(|greeting| ServerInfo::of_initialize(greeting).ok())?;
        (written.target == self.target).then_some(StoredConnection {
            session: written.session,
            info,
            life: written.life,
        })
    }

    /// Stores the session. If that fails, the session ends with this process.
    pub(super) async fn keep(&self, kept: &StoredConnection) -> Option<HeldRecord> {
        let written = Written {
            target: self.target.clone(),
            session: kept.session.clone(),
            greeting: kept.info.raw.as_str().to_owned(),
            life: kept.life,
        };
        let state = serde_json::to_vec(&written).ok().filter(|state| state.len() <= MAX_BYTES)?;
        self.records.keep(&self.name, &self.user, &state).await.ok()?;
        Some(HeldRecord { record: self.clone(), session: written.session, life: written.life })
    }

    async fn read(&self) -> Result<Option<Written>, RecordsDown> {
        let found = self.records.find(&self.name).await?;
        let (_, state) = found.filter(|(user, _)| *user == self.user).unzip();
        Ok(state.and_then(|state| serde_json::from_slice(&state).ok()))
    }
}

/// The record of a session that this process has.
pub(super) struct HeldRecord {
    record: Record,
    session: String,
    life: u32,
}

impl HeldRecord {
    /// Deletes the record. `false`: another process has resumed the session, which must not be
    /// ended here.
    ///
    /// The record of another session that has taken its place is left alone.
    pub(super) async fn forget(&self) -> bool {
        match self.record.read().await {
            Ok(Some(written)) if written.session != self.session => {}
            Ok(Some(written)) if written.life != self.life => return false,
            Ok(Some(_)) => {
                if self.record.records.forget(&self.record.name).await == Err(RecordsDown) {
                    tracing::warn!("the record of a session with a server could not be deleted");
                }
            }
            Ok(None) | Err(RecordsDown) => {}
        }
        true
    }

    /// Prolongs the record of a session in use.
    pub(super) async fn touch(&self) {
        if self.record.records.touch(&self.record.name).await == Err(RecordsDown) {
            tracing::warn!("the record of a session with a server could not be prolonged");
        }
    }
}
