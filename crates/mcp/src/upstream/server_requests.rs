//! Answers requests of a server, as long as its connection lives. The respondent of each is found
//! when it arrives, next door in [`super::inbox`].
//!
//! Pings and cancellations pass outside of all limits: people may take minutes to answer the open
//! questions, and a server whose pings are not answered meanwhile takes the connection for dead
//! (FB75).

use std::{collections::HashMap, sync::Arc};

use async_trait::async_trait;
use tokio::{
    sync::mpsc,
    task::{AbortHandle, JoinSet},
};

use super::{
    call_event::{CallEvent, ServerAsk},
    inbox::{Ask, Asking, Inbox, Respondent},
    link::{Link, Outgoing},
    owner::ConnectionKey,
    rpc_error::RpcError,
};
use crate::wire::{self, Payload, Request, RequestId, code, protocol::method};

/// How many questions of a server may be open on one connection.
const MAX_OPEN: usize = 64;
/// How many answers may wait for a server that does not take them. Past that, its requests are
/// dropped.
const MAX_UNSENT: usize = 256;

const TOO_MANY: &str =
    "too many questions of this server are open: the client has not answered them";

/// Answers requests of servers that belong to no call.
#[async_trait]
pub trait ServerRequests: Send + Sync {
    /// Answers one request. `from` has the server and the owner of the connection.
    async fn handle(
        &self,
        from: &ConnectionKey,
        method: &str,
        params: Option<Payload>,
    ) -> Result<Payload, RpcError>;
}

/// Refuses every request: for connections without a client.
#[derive(Clone, Copy, Debug)]
pub struct NoServerRequests;

#[async_trait]
impl ServerRequests for NoServerRequests {
    async fn handle(
        &self,
        _: &ConnectionKey,
        _: &str,
        _: Option<Payload>,
    ) -> Result<Payload, RpcError> {
        Err(RpcError::method_not_found())
    }
}

/// Answers the server's requests until the connection closes.
pub(super) async fn serve(
    mut asked: mpsc::Receiver<Ask>,
    inbox: Arc<Inbox>,
    link: Arc<dyn Link>,
    handler: Arc<dyn ServerRequests>,
) {
    let mut working = JoinSet::new();
    let mut open: HashMap<RequestId, AbortHandle> = HashMap::new();
    loop {
        tokio::select! {
            () = inbox.closed().cancelled() => return,
            Some(done) = working.join_next(), if !working.is_empty() => {
                if let Ok(id) = done {
                    open.remove(&id);
                }
                open.retain(|_, task| !task.is_finished());
            }
            ask = asked.recv() => match ask {
                None => return,
                Some(Ask::Cancelled(id)) => {
                    if let Some(task) = open.remove(&id) {
                        task.abort();
                    }
                }
                Some(Ask::Request(request, _)) if working.len() >= MAX_OPEN + MAX_UNSENT => {
                    tracing::warn!(server = %inbox.key.server, method = request.method, "dropped a request of the server: it takes no answers");
                }
                Some(Ask::Request(request, asked)) => {
                    let is_question = request.method != method::PING && !matches!(asked, Respondent::Missing(_));
                    let asked = if is_question && open.len() >= MAX_OPEN { Respondent::Missing(TOO_MANY) } else { asked };
                    let (id, is_open) = (request.id.clone(), is_question && !matches!(asked, Respondent::Missing(_)));
                    let task = working.spawn(answer(request, asked, Arc::clone(&inbox), Arc::clone(&link), Arc::clone(&handler)));
                    if is_open {
                        open.insert(id, task);
                    }
                }
            },
        }
    }
}

async fn answer(
    request: Request,
    asked: Respondent,
    inbox: Arc<Inbox>,
    link: Arc<dyn Link>,
    handler: Arc<dyn ServerRequests>,
) -> RequestId {
    let Request { id, method, params } = request;
    let outcome = match (method.as_str(), asked) {
        (method::PING, _) => Ok(wire::object(&[])),
        (_, Respondent::Caller(asking)) => ask_client(asking, &inbox, &method, params).await,
        (_, Respondent::Handler) => handler.handle(&inbox.key, &method, params).await,
        (_, Respondent::Missing(why)) => {
            tracing::info!(server = %inbox.key.server, method, why, "a request of a server was refused");
            Err(RpcError::new(code::METHOD_NOT_FOUND, why))
        }
    };
    let message = match &outcome {
        Ok(result) => wire::result(&id, result),
        Err(error) => RpcError::write(error, &id),
    };
    if let Err(error) = link.send(Outgoing::aside(message)).await {
        tracing::debug!(server = %inbox.key.server, method, %error, "could not answer the server's request");
    }
    id
}

/// Passes the request to the receiver of the events of its call. One that ends before it has heard
/// the question is not the call that the server asks about: another one of the same caller is asked
/// then.
async fn ask_client(
    mut asking: Asking,
    inbox: &Inbox,
    method: &str,
    params: Option<Payload>,
) -> Result<Payload, RpcError> {
    for _ in 0..MAX_OPEN {
        let (ask, answer) =
            ServerAsk::new(inbox.key.server.clone(), method.to_owned(), params.clone());
        if asking.call_events.send(CallEvent::Ask(ask)).await.is_ok()
            && let Ok(outcome) = answer.await
        {
            return outcome;
        }
        let Some(other) = inbox.in_place_of(&asking) else { break };
        asking = other;
    }
    Err(RpcError::unanswered())
}

#[cfg(test)]
mod tests;
