//! What servers ask outside of any call: it goes to the one session whose connection it is, if that
//! has a stream open.

use std::sync::{Arc, OnceLock, Weak};

use async_trait::async_trait;

use super::connect::Connections;
use crate::{
    session::outbox::About,
    upstream::{ConnectionKey, Owner, RpcError, ServerAsk, ServerRequests},
    wire::{Payload, code},
};

/// Made before the servers are, and told of the connections once there is a hub.
#[derive(Default)]
pub struct Clients(OnceLock<Weak<Connections>>);

impl Clients {
    pub(crate) fn of(&self, connections: &Arc<Connections>) {
        // Those of a second hub are none of the servers' that this was made for.
        let _ = self.0.set(Arc::downgrade(connections));
    }
}

#[async_trait]
impl ServerRequests for Clients {
    async fn handle(
        &self,
        from: &ConnectionKey,
        method: &str,
        params: Option<Payload>,
    ) -> Result<Payload, RpcError> {
        let connections = self.0.get().and_then(Weak::upgrade);
        // On a connection of several sessions it could be any one's business (threats 37, 49).
        let connections = connections
            .filter(|_| matches!(from.owner, Owner::Session(..)))
            .ok_or_else(no_client)?;
        let mut sessions = connections.delivery.concerned(from);
        sessions.retain(|session| {
            session.can_be_asked()
                && session.has_stream()
                && session.client_capabilities.lacks(method, params.as_ref()).is_none()
        });
        let session = sessions.pop().filter(|_| sessions.is_empty()).ok_or_else(no_client)?;
        let about = About::server(&from.server);
        let (ask, answer) = ServerAsk::new(from.server.clone(), method.to_owned(), params);
        if let Some(message) = session.pose(ask, None) {
            session.outbox.push(&message, Some(&about));
        }
        answer.await.unwrap_or_else(|_| Err(RpcError::method_not_found()))
    }
}

fn no_client() -> RpcError {
    let text = "the request belongs to no call, and there is no client that can be asked about anything else";
    RpcError::new(code::METHOD_NOT_FOUND, text)
}
