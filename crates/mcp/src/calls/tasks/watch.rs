//! Tasks that modern clients want to hear of (`taskIds` of `subscriptions/listen`, extension
//! `io.modelcontextprotocol/tasks`): asking their servers to tell. Which stream listens to which is
//! kept in `session::task_watches`, the stream itself is `endpoint::subscriptions`'s.

use std::sync::Arc;

use super::{
    dialect,
    requests::{server_of, undeclared},
};
use crate::{
    caller::{Caller, View},
    calls::{ask::Ask, context::CallContext},
    client_capabilities::ClientCapabilities,
    era::Era,
    problem::Problem,
    session::{Session, task_watches::Watched},
    wire::{
        self, Payload, WireError, capabilities,
        protocol::{extension, filter},
    },
};

/// The tasks that a client wants to hear of: `taskIds` of its filter.
pub(crate) fn wanted(notifications: &Payload) -> Result<Vec<String>, WireError> {
    let ids = wire::members(notifications)?
        .into_iter()
        .find(|(key, value)| key == filter::TASK_IDS && value.as_str() != "null");
    let ids = ids.map(|(_, ids)| {
        ids.read().map_err(|_| WireError::WrongType(filter::TASK_IDS, "a list of task ids"))
    });
    Ok(ids.transpose()?.unwrap_or_default())
}

/// A client that wants to hear of tasks must have declared that it can follow them, where there can
/// be any.
pub(crate) fn may_watch(
    context: &CallContext,
    caller: &Caller,
    client_capabilities: &ClientCapabilities,
) -> Result<(), Problem> {
    let servers = match &caller.view {
        View::All => context.registry.allowed(&*caller.allow),
        View::One(server) => vec![server.clone()],
    };
    let has_tasks =
        |declared: &Payload| capabilities::extension(declared, extension::TASKS).is_some();
    let mut servers = servers.iter();
    if dialect::is_declared_by(client_capabilities)
        || !servers.any(|server| context.registry.may_have(server, Era::Modern, has_tasks))
    {
        Ok(())
    } else {
        Err(undeclared())
    }
}

/// The session hears of the task from now on. `ask` is on its behalf.
pub(crate) async fn watch(
    context: &Arc<CallContext>,
    session: &Arc<Session>,
    ask: &Ask,
    task: &str,
) -> Result<(), Problem> {
    let server = server_of(context, ask, task).await?;
    let failed = |error| Problem::server(&server, error);
    let peer = context.connections.connect(&server, &ask.requester).await.map_err(failed)?;
    let watches = &context.connections.delivery.task_watches;
    // Before the server is asked: what it says at once is for this session already.
    watches.add(
        &session.id,
        Watched { server: server.clone(), task: task.to_owned(), _hold: peer.hold() },
    );
    match peer.follow_task(task, true).await {
        Ok(true) => Ok(()),
        refused => {
            watches.remove(&session.id, &server, task);
            refused.map_err(failed)?;
            Err(Problem::invalid_params("the server does not tell of this task"))
        }
    }
}
