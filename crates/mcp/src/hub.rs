//! The hub: the MCP endpoint of the gateway without its HTTP. The edge hands it a [`Caller`],
//! headers and bytes and gets an [`Answer`] back. It hands on: to `endpoint` (messages and answers,
//! where the owners are put together), `lifecycle` (sessions), `lists` and `registry` (what servers
//! have). Users who come and go are in [`eviction`], what was disabled in [`disabling`],
//! what changes in [`changes`].

use std::{
    fmt,
    sync::{Arc, Weak},
    time::Duration,
};

use bytes::Bytes;
use http::HeaderMap;
use portunus_core::entropy::Entropy;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::{
    answer::Answer,
    endpoint::{context::Endpoint, delete, encode, listen, post},
    lists::merge,
    spec::ServerSpec,
};
pub use crate::{
    caller::{Caller, View},
    connections::Clients,
    lists::merge::ServerTool,
    seal::Seal,
    session::Totals,
    settings::{HubSettings, Names},
    upstream::servers::{Peer, Servers},
};

mod changes;
mod disabling;
mod eviction;

/// Everything behind the MCP endpoints.
pub struct Hub {
    endpoint: Arc<Endpoint>,
}

impl Hub {
    /// Must be called within a tokio runtime: it starts the task that ends idle sessions.
    pub fn new(
        settings: HubSettings,
        specs: Vec<ServerSpec>,
        servers: Arc<dyn Servers>,
        entropy: Arc<dyn Entropy>,
        seal: Arc<dyn Seal>,
    ) -> Arc<Self> {
        let endpoint = Arc::new(Endpoint::new(settings, specs, servers, entropy, seal));
        tokio::spawn(sweep(
            Arc::downgrade(&endpoint),
            endpoint.settings.session_idle,
            endpoint.closing.clone(),
        ));
        Arc::new(Self { endpoint })
    }

    /// A message from the client.
    pub async fn post(&self, caller: Caller, headers: &HeaderMap, body: Bytes) -> Answer {
        if let Some(refusal) = self.refused_view(&caller) {
            return refusal;
        }
        post::post(&self.endpoint, &caller, headers, body).await.unwrap_or_else(|refusal| *refusal)
    }

    /// The client opens a stream for the servers' messages.
    pub async fn get(&self, caller: Caller, headers: &HeaderMap) -> Answer {
        if let Some(refusal) = self.refused_view(&caller) {
            return refusal;
        }
        listen::listen(&self.endpoint, &caller, headers).await.unwrap_or_else(|refusal| *refusal)
    }

    /// The client ends its session.
    pub async fn delete(&self, caller: Caller, headers: &HeaderMap) -> Answer {
        delete::delete(&self.endpoint, &caller, headers).await.unwrap_or_else(|refusal| *refusal)
    }

    /// The tools that the caller may use, in the order of the list. Servers that do not answer in
    /// time are left out.
    pub async fn tools(&self, caller: Caller) -> Vec<ServerTool> {
        merge::tools(&self.endpoint.calls.lists, &caller).await
    }

    /// Ends the streams that would last for ever, so that connections can drain; calls under way go
    /// on. The servers' connections are closed by their maker.
    #[expect(clippy::unused_async, reason = "telling clients where to resume will have to wait")]
    pub async fn shutdown(&self) {
        self.endpoint.closing.cancel();
    }

    fn refused_view(&self, caller: &Caller) -> Option<Answer> {
        encode::refused_view(&self.endpoint.calls.registry, caller)
    }
}

impl Clients {
    /// From now on, clients of `hub` are asked.
    pub fn meet(&self, hub: &Hub) {
        self.of(&hub.endpoint.calls.connections);
    }
}

impl fmt::Debug for Hub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hub").field("settings", &self.endpoint.settings).finish_non_exhaustive()
    }
}

/// Ends sessions that are not used any more, and forgets what has not been wanted for long.
async fn sweep(endpoint: Weak<Endpoint>, idle: Duration, closing: CancellationToken) {
    let pause = (idle / 4).clamp(Duration::from_millis(100), Duration::from_secs(30));
    loop {
        tokio::select! {
            () = closing.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
        let Some(endpoint) = endpoint.upgrade() else { return };
        let now = Instant::now();
        endpoint.lifecycle.sweep(idle, now);
        endpoint.calls.registry.sweep(now);
        endpoint.capability_sets.sweep(now);
        endpoint.suspended.sweep();
    }
}
