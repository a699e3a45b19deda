//! What a server sends about one call before its answer: progress, notifications and requests.
//! Messages that belong to no call are next door: an [`super::Event`], or a request for
//! [`super::ServerRequests`].

use portunus_core::ids::ServerName;
use tokio::sync::oneshot;

use super::rpc_error::RpcError;
use crate::wire::{self, Payload};

/// One message of a server about a call under way.
#[derive(Debug)]
pub enum CallEvent {
    /// The raw parameters of `notifications/progress`. Their token is the gateway's: the receiver
    /// puts the caller's back.
    Progress(Payload),
    Notification {
        method: String,
        params: Option<Payload>,
    },
    /// The server waits for this before it goes on.
    Ask(ServerAsk),
}

/// A request of a server (`elicitation/create`, `sampling/createMessage`, `roots/list`), to be
/// answered by the client.
#[derive(Debug)]
pub struct ServerAsk {
    /// The server that asks.
    pub server: ServerName,
    pub method: String,
    pub params: Option<Payload>,
    reply: oneshot::Sender<Result<Payload, RpcError>>,
}

impl ServerAsk {
    /// The request, and the channel of its answer. A request that is dropped unanswered closes the
    /// channel.
    ///
    /// It always has `params`, since some clients expect an object there (FB79).
    pub fn new(
        server: ServerName,
        method: String,
        params: Option<Payload>,
    ) -> (Self, oneshot::Receiver<Result<Payload, RpcError>>) {
        let (reply, answer) = oneshot::channel();
        let params = Some(params.unwrap_or_else(|| wire::object(&[])));
        (Self { server, method, params, reply }, answer)
    }

    /// Sends the answer to the server; an answer for a server that is gone is dropped.
    pub fn answer(self, outcome: Result<Payload, RpcError>) {
        let _ = self.reply.send(outcome);
    }

    /// Returns when the server no longer wants an answer.
    pub async fn withdrawn(&mut self) {
        self.reply.closed().await;
    }

    pub fn is_withdrawn(&self) -> bool {
        self.reply.is_closed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fb79_what_a_server_asks_has_params() {
        let params_of = |params| {
            let server = ServerName::parse("dice").unwrap();
            ServerAsk::new(server, "roots/list".to_owned(), params)
                .0
                .params
                .unwrap()
                .as_str()
                .to_owned()
        };
        assert_eq!(params_of(None), "{}");
        let given = Payload::from_json(r#"{"a":1}"#).unwrap();
        assert_eq!(params_of(Some(given)), r#"{"a":1}"#);
    }
}
