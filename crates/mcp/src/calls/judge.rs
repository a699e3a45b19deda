//! May another token have what a request gave? A client that comes back for an answer, or answers a
//! question in the middle of one, is judged by the token that it comes with, not by the one that
//! began the request (threat 71).

use std::sync::Arc;

use http::HeaderMap;
use portunus_core::ids::ServerName;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{
    ask::{Ask, Head},
    context::CallContext,
    target, tasks,
};
use crate::{
    caller::{Caller, View},
    era::Era,
    permission::check_server,
    problem::Problem,
    registry::kind::Kind,
    session::{operation::Operation, requester::Requester},
    wire::{Payload, Request, code, protocol::method},
};

/// May this caller have what the operation gives? Lists are made for the scopes that they were
/// asked for with, and by the rules of then.
pub(crate) async fn operation(
    context: &Arc<CallContext>,
    caller: &Caller,
    requester: Requester,
    operation: &Operation,
) -> Result<(), Problem> {
    let is_list =
        Kind::of_method(&operation.method).is_some() || operation.method == method::TASKS_LIST;
    let beyond =
        || Problem::invalid_params("this belongs to a request that was made with another token");
    if is_list {
        let is_the_same = caller.principal.scopes == *operation.scopes()
            && caller.allow.rules() == operation.rules();
        return if is_the_same { Ok(()) } else { Err(beyond()) };
    }
    let params = operation.params().ok_or_else(beyond)?;
    let probe = probe(caller, requester, Era::Legacy, &operation.method, Some(params));
    check(context, &Ask { is_kept: true, ..probe }).await
}

/// May this caller retry a request of a modern client that waits for input?
pub(crate) async fn retry(
    context: &Arc<CallContext>,
    caller: &Caller,
    requester: Requester,
    request: &Request,
) -> Result<(), Problem> {
    check(context, &probe(caller, requester, Era::Modern, &request.method, request.params.clone()))
        .await
}

/// May this caller answer what a server asks outside of any call?
pub(crate) fn answer(caller: &Caller, server: &ServerName) -> Result<(), Problem> {
    check_server(&*caller.allow, server)
}

/// Everything that is checked before a request goes to its server.
async fn check(context: &Arc<CallContext>, ask: &Ask) -> Result<(), Problem> {
    match ask.method.as_str() {
        method if Kind::of_method(method).is_some() => Ok(()),
        method::LOGGING_SET_LEVEL => Ok(()),
        method if tasks::is_about_tasks(method) => tasks::check(context, ask).await,
        _ => match target::find(context, ask).await {
            // On `/mcp` no caller has such a method: its answer gives nothing away.
            Err(Problem::Refused { code: code::METHOD_NOT_FOUND, .. }) if ask.view == View::All => {
                Ok(())
            }
            found => found.map(drop),
        },
    }
}

/// The request as the caller would make it. It is not sent.
fn probe(
    caller: &Caller,
    requester: Requester,
    era: Era,
    method: &str,
    params: Option<Payload>,
) -> Ask {
    Ask {
        requester,
        view: caller.view.clone(),
        allow: Arc::clone(&caller.allow),
        era,
        legacy_session: None,
        method: method.to_owned(),
        params,
        head: Head::default(),
        is_kept: false,
        header_params: HeaderMap::new(),
        level: None,
        request_id: caller.request_id.clone(),
        observer: None,
        limits: None,
        call_events: mpsc::channel(1).0,
        cancel: CancellationToken::new(),
    }
}
