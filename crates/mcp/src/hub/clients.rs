//! What servers ask outside of any call: it goes to the one session whose connection it is, if that has a stream open.

use std::sync::{Arc, OnceLock, Weak};

use async_trait::async_trait;

use super::{Hub, Inner};
use crate::{
    session::outbox::About,
    upstream::{ConnectionKey, Owner, RpcError, ServerAsk, ServerRequests},
    wire::{Payload, code},
};

/// Made before the servers are, and told of the hub once there is one.
#[derive(Default)]
pub struct Clients(OnceLock<Weak<Inner>>);

impl Clients {
    /// From now on, clients of `hub` are asked.
    pub fn meet(&self, hub: &Hub) {
        // A second hub is none of this one's servers.
        let _ = self.0.set(Arc::downgrade(&hub.inner));
    }
}

#[async_trait]
impl ServerRequests for Clients {
    async fn handle(&self, from: &ConnectionKey, method: &str, params: Option<Payload>) -> Result<Payload, RpcError> {
        let hub = self.0.get().and_then(Weak::upgrade);
        // On a connection of several sessions it could be any one's business (threats 37, 49).
        let hub = hub.filter(|_| matches!(from.owner, Owner::Session(..))).ok_or_else(nobody)?;
        let mut sessions = hub.concerned(from);
        sessions.retain(|session| {
            session.can_be_asked() && session.has_stream() && session.client_capabilities.lacks(method, params.as_ref()).is_none()
        });
        let session = sessions.pop().filter(|_| sessions.is_empty()).ok_or_else(nobody)?;
        let about = About::server(&from.server);
        let (ask, answer) = ServerAsk::new(from.server.clone(), method.to_owned(), params);
        if let Some(message) = session.pose(ask, None) {
            session.outbox.push(&message, Some(&about));
        }
        answer.await.unwrap_or_else(|_| Err(RpcError::method_not_found()))
    }
}

fn nobody() -> RpcError {
    let text = "the request belongs to no call, and there is no client that can be asked about anything else";
    RpcError::new(code::METHOD_NOT_FOUND, text)
}
