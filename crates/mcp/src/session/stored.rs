//! A session as it is written down, so that it can go on in another process: what was agreed on
//! with the client, and what the client asked for since. What was under way is not part of it:
//! calls, streams and questions end with the process they were in.

use std::sync::{Arc, atomic::AtomicUsize};

use portunus_core::{
    ids::{ClientId, ServerName},
    secret::TokenHash,
};
use serde::{Deserialize, Serialize};

use super::{
    id::SessionId,
    level::Level,
    state::{Kind, Session, is_same_client},
};
use crate::{
    caller::{Caller, View},
    client_capabilities::ClientCapabilities,
    era,
    wire::Payload,
};

/// Ids that the client has seen of an earlier life must not come again: each life has as many of
/// its own.
const IDS_OF_A_LIFE: u64 = 1 << 24;

#[derive(Serialize, Deserialize)]
struct StoredSession {
    client: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    application: Option<TokenHash>,
    resource: String,
    /// The one server of its view.
    server: Option<String>,
    revision: String,
    /// JSON, as the client wrote it.
    client_info: String,
    capabilities: String,
    level: Option<String>,
    subscriptions: Vec<(String, String)>,
    /// How often it was taken on.
    life: u32,
}

impl Session {
    /// `None`: there is nothing to keep of a stream of changes.
    pub(crate) fn write(&self) -> Option<Vec<u8>> {
        let Kind::Handshake { client_info, revision } = &self.kind else { return None };
        let kept = StoredSession {
            client: self.client.as_str().to_owned(),
            application: self.application,
            resource: self.resource.as_str().to_owned(),
            server: server_of(&self.view),
            revision: (*revision).to_owned(),
            client_info: client_info.as_str().to_owned(),
            capabilities: self.client_capabilities.capabilities().as_str().to_owned(),
            level: self.level().map(|level| level.as_str().to_owned()),
            subscriptions: self
                .subscriptions()
                .into_iter()
                .map(|(server, uri)| (server.as_str().to_owned(), uri))
                .collect(),
            life: self.life,
        };
        serde_json::to_vec(&kept).ok()
    }

    /// The session goes on, for a caller whose own it is (threat 36). `None`: it is not, or it was
    /// written by a gateway that we do not understand.
    pub(crate) fn read(
        id: SessionId,
        caller: &Caller,
        state: &[u8],
        usage: Arc<AtomicUsize>,
    ) -> Option<Self> {
        let kept: StoredSession = serde_json::from_slice(state).ok()?;
        let client = ClientId::from_text(kept.client);
        let is_own = is_same_client(&client, kept.application, caller)
            && kept.resource == caller.principal.resource.as_str()
            && kept.server == server_of(&caller.view);
        let revision = era::LEGACY
            .into_iter()
            .find(|revision| *revision == kept.revision)
            .filter(|_| is_own)?;
        let kind =
            Kind::Handshake { client_info: Payload::from_json(&kept.client_info).ok()?, revision };
        let client_capabilities =
            ClientCapabilities::of(Payload::from_json(&kept.capabilities).ok().as_ref());
        let mut session = Self::new(id, caller, kind, client_capabilities, usage);
        // What is its client's stays so.
        (session.client, session.application) = (client, kept.application);
        session.life = kept.life + 1;
        let first = u64::from(session.life) * IDS_OF_A_LIFE;
        session.asks.begin_at(first);
        session.resumables.begin_at(first);
        if let Some(level) = kept.level.as_deref().and_then(Level::parse) {
            session.set_level(level);
        }
        for (server, uri) in &kept.subscriptions {
            let server = ServerName::parse(server).ok()?;
            session.subscribe(&server, uri, usize::MAX).ok()?;
        }
        Some(session)
    }
}

fn server_of(view: &View) -> Option<String> {
    match view {
        View::All => None,
        View::One(server) => Some(server.as_str().to_owned()),
    }
}
