//! What servers have asked the client of a session, and it has not answered yet: roots, sampling, elicitation. Our own ids, so that no two
//! servers can meet in one client (threat 37).

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use portunus_core::ids::ServerName;
use tokio::sync::oneshot;

use super::{Session, outbox::About};
use crate::{
    hub::operation::Operation,
    sync::locked,
    upstream::{RpcError, ServerAsk},
    wire::{self, Outcome, Payload, RequestId, Response, code},
};

/// How long a person may think.
pub(crate) const PATIENCE: Duration = Duration::from_secs(600);
/// How many questions one client may have open.
const MAX_OPEN: usize = 64;

#[derive(Default)]
pub(crate) struct Asks(Mutex<Open>);

#[derive(Default)]
struct Open {
    last: u64,
    waiting: HashMap<RequestId, Question>,
}

struct Question {
    answered: oneshot::Sender<Outcome>,
    server: ServerName,
    operation: Option<Arc<Operation>>,
}

impl Asks {
    pub(super) fn begin_at(&self, first: u64) {
        locked(&self.0).last = first;
    }
}

impl Session {
    /// Notes a request of a server, in the middle of the `operation` if it is about one; gives the message for the client. `None`: it is
    /// answered already, with an error.
    pub(crate) fn pose(self: &Arc<Self>, ask: ServerAsk, operation: Option<Arc<Operation>>) -> Option<bytes::Bytes> {
        if let Some(missing) = self.client_capabilities.lacks(&ask.method, ask.params.as_ref()) {
            ask.answer(Err(RpcError::new(code::METHOD_NOT_FOUND, format!("the client has not declared {}", missing.name))));
            return None;
        }
        let (answered, answer) = oneshot::channel();
        let id = {
            let mut open = locked(&self.asks.0);
            if open.waiting.len() >= MAX_OPEN {
                drop(open);
                ask.answer(Err(RpcError::new(code::INTERNAL_ERROR, "the client is being asked too much already")));
                return None;
            }
            open.last += 1;
            let id = RequestId::number(open.last);
            open.waiting.insert(id.clone(), Question { answered, server: ask.server.clone(), operation });
            id
        };
        let message = wire::request(&id, &ask.method, ask.params.as_ref());
        tokio::spawn(Arc::clone(self).see_through(id, ask, answer));
        Some(message)
    }

    /// Until the client answers, the server loses interest, or it takes too long.
    async fn see_through(self: Arc<Self>, id: RequestId, mut ask: ServerAsk, answer: oneshot::Receiver<Outcome>) {
        tokio::select! {
            answer = answer => ask.answer(answer.map_err(|_| gone()).and_then(result)),
            () = ask.withdrawn() => {
                let params = wire::object(&[("requestId", id.raw())]);
                let about = About::server(&ask.server);
                self.outbox.push(&wire::notification("notifications/cancelled", Some(&params)), Some(&about));
            }
            () = self.ended.cancelled() => ask.answer(Err(gone())),
            () = tokio::time::sleep(PATIENCE) => ask.answer(Err(RpcError::new(code::INTERNAL_ERROR, "the client did not answer in time"))),
        }
        locked(&self.asks.0).waiting.remove(&id);
    }

    /// Who asked what this answers, and in the middle of what.
    pub(crate) fn question(&self, response: &Response) -> Option<(ServerName, Option<Arc<Operation>>)> {
        let open = locked(&self.asks.0);
        let question = open.waiting.get(response.id.as_ref()?)?;
        Some((question.server.clone(), question.operation.clone()))
    }

    /// The client's answer. One that nobody waits for is passed over.
    pub(crate) fn take_answer(&self, response: Response) {
        let waiting = response.id.and_then(|id| locked(&self.asks.0).waiting.remove(&id));
        if let Some(waiting) = waiting {
            let _ = waiting.answered.send(response.outcome);
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
