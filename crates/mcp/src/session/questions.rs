//! Asking the client of a session what a server wants to know, and seeing to it that the server is
//! answered: by the client, or with an error.

use std::sync::Arc;

use bytes::Bytes;
use portunus_core::ids::ServerName;
use tokio::sync::oneshot;
use tracing::Instrument as _;

use super::{
    asks::{PATIENCE, Question},
    operation::Operation,
    outbox::About,
    state::Session,
};
use crate::{
    upstream::{RpcError, ServerAsk},
    wire::{self, Outcome, Payload, RequestId, Response, code, protocol::notification},
};

impl Session {
    /// Notes a request of a server, in the middle of the `operation` if it is about one; gives the
    /// message for the client. `None`: it is answered already, with an error.
    pub(crate) fn pose(
        self: &Arc<Self>,
        ask: ServerAsk,
        operation: Option<Arc<Operation>>,
    ) -> Option<Bytes> {
        if let Some(missing) = self.client_capabilities.lacks(&ask.method, ask.params.as_ref()) {
            ask.answer(Err(RpcError::new(
                code::METHOD_NOT_FOUND,
                format!("the client has not declared {}", missing.name),
            )));
            return None;
        }
        let (answered, answer) = oneshot::channel();
        let Some(id) = self.asks.add(Question { answered, server: ask.server.clone(), operation })
        else {
            ask.answer(Err(RpcError::new(
                code::INTERNAL_ERROR,
                "the client is being asked too much already",
            )));
            return None;
        };
        let message = wire::request(&id, &ask.method, ask.params.as_ref());
        tokio::spawn(Arc::clone(self).see_through(id, ask, answer).in_current_span());
        Some(message)
    }

    /// Until the client answers, the server loses interest, or it takes too long.
    async fn see_through(
        self: Arc<Self>,
        id: RequestId,
        mut ask: ServerAsk,
        answer: oneshot::Receiver<Outcome>,
    ) {
        tokio::select! {
            answer = answer => ask.answer(answer.map_err(|_| gone()).and_then(result)),
            () = ask.withdrawn() => {
                let params = wire::object(&[("requestId", id.raw())]);
                let about = About::server(&ask.server);
                self.outbox.push(&wire::notification(notification::CANCELLED, Some(&params)), Some(&about));
            }
            () = self.ended.cancelled() => ask.answer(Err(gone())),
            () = tokio::time::sleep(PATIENCE) => ask.answer(Err(RpcError::new(code::INTERNAL_ERROR, "the client did not answer in time"))),
        }
        self.asks.take(&id);
    }

    /// Who asked what this answers, and in the middle of what.
    pub(crate) fn question(
        &self,
        response: &Response,
    ) -> Option<(ServerName, Option<Arc<Operation>>)> {
        self.asks.find(response.id.as_ref()?)
    }

    /// The client's answer. One that is not waited for is passed over.
    pub(crate) fn take_answer(&self, response: Response) {
        if let Some(question) = response.id.and_then(|id| self.asks.take(&id)) {
            // Its task may have ended in this moment.
            let _ = question.answered.send(response.outcome);
        }
    }
}

fn gone() -> RpcError {
    RpcError::new(code::INTERNAL_ERROR, "the client is gone")
}

fn result(outcome: Outcome) -> Result<Payload, RpcError> {
    match outcome {
        Outcome::Result(result) => Ok(result),
        Outcome::Error(error) => Err(RpcError::read(&error)),
    }
}
