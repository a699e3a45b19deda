//! Sessions with legacy HTTP servers outlive the process they were begun in: what the handshake told is written down with the name of the
//! session, and the next process that needs it goes on with it, so that whatever the server keeps in the session survives. Taking it up is
//! [`super::connect`]'s; when a session ends and when it is handed over, [`super::pool`] decides.

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

/// What a server says of itself at such length is not kept: its session ends with the process.
const MAX_BYTES: usize = 256 * 1024;

/// Where the session of one connection is written down.
#[derive(Clone)]
pub(super) struct Record {
    records: Arc<dyn SessionRecords>,
    name: String,
    user: UserId,
    /// Which server it is a session of: what is configured may change between two processes.
    target: String,
}

/// A session, as far as another process needs it.
pub(super) struct StoredConnection {
    pub(super) session: String,
    pub(super) info: ServerInfo,
    /// How many processes had it before.
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
    /// `None`: nothing of such a connection can go on elsewhere. A session that everybody shares is each process's own: nobody could say
    /// that only one goes on with it.
    pub(super) fn of(records: Option<&Arc<dyn SessionRecords>>, key: &ConnectionKey, spec: &ServerSpec) -> Option<Self> {
        let Transport::Http { url, headers } = &spec.transport else { return None };
        let (user, client, session) = match &key.owner {
            // Which of a client's lanes another process needs first, nobody can say.
            Owner::Client(..) | Owner::Session(..) if key.lane > 0 => return None,
            Owner::Everybody => return None,
            Owner::Client(user, client) => (user, client, None),
            Owner::Session(user, client, session) => (user, client, Some(session)),
        };
        let capabilities = key.client_capabilities.capabilities();
        let era = match key.era {
            Era::Legacy => "legacy",
            Era::Modern => "modern",
        };
        let whose = serde_json::json!([key.server.as_str(), user.as_str(), client.as_str(), session, capabilities.as_str(), era]);
        let headers: Vec<_> = headers.iter().map(|(name, value)| (name.as_str(), value.expose())).collect();
        let target = serde_json::json!([url.as_str(), headers]);
        Some(Self {
            records: Arc::clone(records?),
            // With a space, so that it is the name of no client's session.
            name: format!("upstream {whose}"),
            user: user.clone(),
            target: TokenHash::of(&target.to_string()).to_string(),
        })
    }

    /// The session to go on with, if one was kept.
    pub(super) async fn find(&self) -> Option<StoredConnection> {
        let written = self.read().await.ok()??;
        let info = Payload::from_json(&written.greeting).ok().and_then(|greeting| ServerInfo::of_initialize(greeting).ok())?;
        (written.target == self.target).then_some(StoredConnection { session: written.session, info, life: written.life })
    }

    /// Writes it down. If that fails, the session ends with this process.
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
    /// The session is over, unless another process goes on with it: then `false`, and it is not ours to end. A record of another session, which
    /// took this one's place, is left alone.
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

    /// It is in use, so it must not expire.
    pub(super) async fn touch(&self) {
        if self.record.records.touch(&self.record.name).await == Err(RecordsDown) {
            tracing::warn!("the record of a session with a server could not be prolonged");
        }
    }
}
