//! The connection to a shared child of this node, for those here and at other nodes. Its one
//! special matter are subscriptions: the server knows of one subscriber, so who else wants a
//! resource is counted here, by node.

use std::{
    any::Any,
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use tokio::sync::broadcast;

use crate::{
    sync::locked,
    upstream::{Call, Connection, ConnectionKey, Event, ServerInfo, UpstreamError, servers::Peer},
    wire::{self, Outcome, Payload, protocol::method},
};

/// Those of this node; others go by the number of their attachment.
pub(super) const OURS: u64 = 0;

pub(super) struct Local {
    pub(super) connection: Arc<Connection>,
    subscribers: Mutex<HashMap<String, HashSet<u64>>>,
}

impl Local {
    pub(super) fn new(connection: Arc<Connection>) -> Self {
        Self { connection, subscribers: Mutex::default() }
    }

    pub(super) async fn request_of(
        &self,
        whose: u64,
        method: &str,
        params: Option<Payload>,
        call: Call,
    ) -> Result<Outcome, UpstreamError> {
        let uri = || {
            params
                .as_ref()
                .and_then(|params| wire::params_head(params).ok()?.uri)
                .unwrap_or_default()
        };
        match method {
            method::RESOURCES_SUBSCRIBE => {
                let uri = uri();
                locked(&self.subscribers).entry(uri.clone()).or_default().insert(whose);
                let answer = self.connection.request(method, params, call).await;
                if !matches!(answer, Ok(Outcome::Result(_))) {
                    self.leave(&uri, whose);
                }
                answer
            }
            method::RESOURCES_UNSUBSCRIBE if !self.leave(&uri(), whose) => {
                Ok(Outcome::Result(wire::object(&[])))
            }
            _ => self.connection.request(method, params, call).await,
        }
    }

    /// A node is gone: nothing there wants to hear of anything.
    pub(super) async fn release(&self, whose: u64) {
        let wanted: Vec<_> = {
            let subscribers = locked(&self.subscribers);
            subscribers
                .iter()
                .filter(|(_, those)| those.contains(&whose))
                .map(|(uri, _)| uri.clone())
                .collect()
        };
        for uri in wanted {
            let params = wire::object(&[("uri", &wire::quote(&uri))]);
            if let Err(error) = self
                .request_of(whose, method::RESOURCES_UNSUBSCRIBE, Some(params), Call::default())
                .await
            {
                tracing::debug!(server = %self.connection.key().server, %error, "a server was not told");
            }
        }
    }

    /// Was that the last one?
    fn leave(&self, uri: &str, whose: u64) -> bool {
        let mut subscribers = locked(&self.subscribers);
        let Some(those) = subscribers.get_mut(uri) else { return true };
        those.remove(&whose);
        let is_empty = those.is_empty();
        if is_empty {
            subscribers.remove(uri);
        }
        is_empty
    }
}

#[async_trait]
impl Peer for Local {
    fn info(&self) -> &ServerInfo {
        self.connection.info()
    }

    fn key(&self) -> &ConnectionKey {
        self.connection.key()
    }

    async fn request(
        &self,
        method: &str,
        params: Option<Payload>,
        call: Call,
    ) -> Result<Outcome, UpstreamError> {
        self.request_of(OURS, method, params, call).await
    }

    async fn notify(&self, method: &str, params: Option<Payload>) -> Result<(), UpstreamError> {
        self.connection.notify(method, params).await
    }

    async fn follow_task(&self, task: &str, is_wanted: bool) -> Result<bool, UpstreamError> {
        self.connection.follow_task(task, is_wanted).await
    }

    fn events(&self) -> broadcast::Receiver<Event> {
        self.connection.events()
    }

    fn is_closed(&self) -> bool {
        self.connection.is_closed()
    }

    fn hold(&self) -> Box<dyn Any + Send + Sync> {
        Box::new(self.connection.hold())
    }
}
