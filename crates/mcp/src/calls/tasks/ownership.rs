//! Whose a task is: a person's and a client's, by one predicate for every view, written down so
//! that it holds after a restart and at other nodes (threat 51). The table in memory stands before
//! the records.

use std::sync::Arc;

use portunus_core::ids::ServerName;

use super::dialect;
use crate::{
    calls::{ask::Ask, context::CallContext},
    problem::{Problem, Reply},
    records::{OwnedTask, RecordsDown, TaskOwner},
    session::task_table::TaskOrigin,
    spec::{Isolation, Transport},
    wire::{self, Outcome, Payload, code, protocol::method},
};

fn owner(ask: &Ask) -> TaskOwner {
    TaskOwner { user: ask.requester.user().clone(), client: ask.requester.client().clone() }
}

/// Do other people, or other clients, speak with the same process? Then it cannot tell whose task
/// is asked for: one that is not recorded as the requester's is not there. A remote server hears
/// nothing but the gateway's own credential.
pub(super) fn is_common(context: &CallContext, server: &ServerName) -> bool {
    context.registry.spec(server).is_none_or(|spec| {
        spec.isolation == Isolation::Shared || !matches!(spec.transport, Transport::Stdio { .. })
    })
}

pub(super) fn not_found() -> Problem {
    Problem::invalid_params("Task not found")
}

fn unknown(_: RecordsDown) -> Problem {
    let message = "whose task this is cannot be looked up now: try again".to_owned();
    Problem::Refused {
        code: code::INTERNAL_ERROR,
        message,
        data: Some(wire::object(&[("retriable", "true")])),
    }
}

/// The server's task of this id, if it is the requester's own.
pub(super) async fn owned(
    context: &Arc<CallContext>,
    ask: &Ask,
    server: &ServerName,
    id: &str,
) -> Result<Option<TaskOrigin>, Problem> {
    let owner = owner(ask);
    if let Some(origin) = context.tasks.find(&owner, id, server) {
        return Ok(Some(origin));
    }
    let mut found =
        context.settings.task_records.find_tasks(&owner, server, &[id]).await.map_err(unknown)?;
    Ok(found.pop().map(|task| {
        let origin = TaskOrigin { server: task.server, tool: task.tool, session: None };
        context.tasks.note(&owner, id, origin.clone());
        origin
    }))
}

/// The requester's own tasks of this id, at any of these servers.
pub(super) async fn own_of(
    context: &Arc<CallContext>,
    ask: &Ask,
    servers: &[ServerName],
    id: &str,
) -> Result<Vec<TaskOrigin>, Problem> {
    let found =
        futures::future::try_join_all(servers.iter().map(|server| owned(context, ask, server, id)))
            .await?;
    Ok(found.into_iter().flatten().collect())
}

/// Those of the listed tasks that are the requester's own.
pub(super) async fn own_among(
    context: &Arc<CallContext>,
    ask: &Ask,
    server: &ServerName,
    listed: Vec<Payload>,
) -> Result<Vec<Payload>, Problem> {
    if !is_common(context, server) {
        return Ok(listed);
    }
    let owner = owner(ask);
    let named: Vec<_> =
        listed.into_iter().filter_map(|task| Some((dialect::id(&task)?, task))).collect();
    let unsure: Vec<_> = named
        .iter()
        .map(|(id, _)| id.as_str())
        .filter(|id| context.tasks.find(&owner, id, server).is_none())
        .collect();
    let recorded =
        context.settings.task_records.find_tasks(&owner, server, &unsure).await.map_err(unknown)?;
    let is_own = |id: &str| {
        context.tasks.find(&owner, id, server).is_some()
            || recorded.iter().any(|task| task.id == id)
    };
    Ok(named.into_iter().filter(|(id, _)| is_own(id)).map(|(_, task)| task).collect())
}

/// Writes down whose task it is, if this answer is one. `params` are the request's, as the server
/// got them.
pub(crate) async fn note_made(
    context: &Arc<CallContext>,
    ask: &Ask,
    server: &ServerName,
    params: Option<&Payload>,
    reply: &Reply,
) {
    let Ok(Outcome::Result(result)) = reply else { return };
    let Some(id) = dialect::made(result) else { return };
    let tool = params
        .filter(|_| ask.method == method::TOOLS_CALL)
        .and_then(|params| wire::params_head(params).ok()?.name);
    let task = OwnedTask { server: server.clone(), id, tool };
    remember(context, ask, task).await;
}

/// The requester deals with a task that is the requester's own, and hears of it from now on.
pub(super) async fn note_followed(
    context: &Arc<CallContext>,
    ask: &Ask,
    server: &ServerName,
    id: &str,
) {
    let owner = owner(ask);
    if context.tasks.find(&owner, id, server).is_some() {
        let session = ask.legacy_session.as_ref().map(|session| session.id.clone());
        context.tasks.note(&owner, id, TaskOrigin { server: server.clone(), tool: None, session });
    } else {
        // A child that is the requester's alone made it unseen.
        remember(context, ask, OwnedTask { server: server.clone(), id: id.to_owned(), tool: None })
            .await;
    }
}

async fn remember(context: &Arc<CallContext>, ask: &Ask, task: OwnedTask) {
    let (owner, server) = (owner(ask), &task.server);
    let session = ask.legacy_session.as_ref().map(|session| session.id.clone());
    let origin = TaskOrigin { server: server.clone(), tool: task.tool.clone(), session };
    let forgotten = context.tasks.note(&owner, &task.id, origin);
    let records = &context.settings.task_records;
    if records.keep_task(&owner, &task).await == Err(RecordsDown) {
        tracing::warn!(%server, "whose a task is could not be written down: it is known to this process alone");
    }
    for (client, id, origins) in forgotten {
        let owner = TaskOwner { user: owner.user.clone(), client };
        for TaskOrigin { server, .. } in origins {
            if records.forget_task(&owner, &server, &id).await == Err(RecordsDown) {
                tracing::warn!(%server, "the record of an old task could not be deleted");
            }
        }
    }
}
