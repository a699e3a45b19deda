//! What a server sends about one call before its answer: progress, notifications, and requests of its own. What belongs to no
//! call is an [`super::Event`], or goes to [`super::ServerRequests`].

use portunus_core::ids::ServerName;
use tokio::sync::oneshot;

use super::RpcError;
use crate::wire::Payload;

/// One piece of news about a call under way.
#[derive(Debug)]
pub enum News {
    /// The raw parameters of `notifications/progress`. They carry our token: put the caller's back.
    Progress(Payload),
    Notification {
        method: String,
        params: Option<Payload>,
    },
    /// The server waits for this before it goes on.
    Ask(ServerAsk),
}

/// A request of a server (`elicitation/create`, `sampling/createMessage`, `roots/list`), to be answered by the client.
#[derive(Debug)]
pub struct ServerAsk {
    /// Who asks.
    pub server: ServerName,
    pub method: String,
    pub params: Option<Payload>,
    reply: oneshot::Sender<Result<Payload, RpcError>>,
}

impl ServerAsk {
    /// The request, and where its answer will come. A request that is dropped unanswered closes the channel.
    pub fn new(
        server: ServerName,
        method: String,
        params: Option<Payload>,
    ) -> (Self, oneshot::Receiver<Result<Payload, RpcError>>) {
        let (reply, answer) = oneshot::channel();
        (Self { server, method, params, reply }, answer)
    }

    /// The server may be gone: then nobody misses the answer.
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
