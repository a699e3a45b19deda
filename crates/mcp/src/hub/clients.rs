//! What servers ask outside of any call: it goes to a client that uses the very connection, if there is one that has a stream open.

use std::sync::{Arc, OnceLock, Weak};

use async_trait::async_trait;

use super::{Hub, Inner};
use crate::{
    upstream::{ConnectionKey, Owner, RpcError, ServerAsk, ServerRequests},
    wire::Payload,
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
        // Whose business it is cannot be told on a connection that everybody shares (threat 37).
        let hub = hub.filter(|_| from.owner != Owner::Everybody).ok_or_else(RpcError::method_not_found)?;
        let mut sessions = hub.concerned(from);
        sessions.retain(|session| {
            session.can_be_asked() && session.has_stream() && session.face.lacks(method, params.as_ref()).is_none()
        });
        let session = sessions.into_iter().max_by_key(|session| session.last_used()).ok_or_else(RpcError::method_not_found)?;
        let (ask, answer) = ServerAsk::new(method.to_owned(), params);
        if let Some(message) = session.pose(ask) {
            session.outbox.push(&message);
        }
        answer.await.unwrap_or_else(|_| Err(RpcError::method_not_found()))
    }
}
