//! `tasks/get` and its kin, wherever a client may ask them: to the server that made the task, if it
//! is the client's own.

use std::sync::Arc;

use portunus_core::ids::ServerName;

use super::{
    dialect::{self, Method},
    list,
    ownership::{self, is_common, not_found, own_of, owned},
};
use crate::{
    allow::{CalledWith, Verdict},
    answer::Wanted,
    caller::View,
    calls::{ask::Ask, context::CallContext, forward::forward, target::hints},
    client_capabilities::Missing,
    era::Era,
    observer::Called,
    permission::{check_method, unmet},
    problem::{Problem, Reply},
    session::task_table::TaskOrigin,
    upstream::UpstreamError,
    wire::{
        self, Outcome, Payload, capabilities,
        protocol::{extension, member, method},
    },
};

/// What is about tasks is about the tasks of one client.
pub(crate) fn is_about_tasks(method: &str) -> bool {
    method.starts_with(method::OF_TASKS)
}

pub(crate) async fn reply(context: &Arc<CallContext>, ask: &Ask) -> Reply {
    match &ask.view {
        View::One(server) => {
            ask.enter(Some(server), None)?;
            request_one(context, server, ask).await
        }
        View::All => match Method::of(&ask.method, ask.era) {
            Some(method) => request(context, ask, method).await,
            None => Err(Problem::method_not_found(&ask.method)),
        },
    }
}

/// `tasks/get` and its kin, on `/mcp`.
async fn request(context: &Arc<CallContext>, ask: &Ask, method: Method) -> Reply {
    let servers = asked(context, ask, method)?;
    if method == Method::List {
        ask.enter(None, None)?;
        return list::merged(context, ask, servers).await;
    }
    let id = ask.head()?.task_id.clone().ok_or_else(|| Problem::missing(member::TASK_ID))?;
    let found = find(context, ask, &id, servers).await?;
    ask.enter(Some(&found.server), None)?;
    let reply = match found.state {
        Some(state) if method == Method::Get => Ok(Outcome::Result(state)),
        _ => forward(context, ask, &found.server, ask.params.clone()).await,
    };
    given(context, &found.server, ask, &id, reply).await
}

/// The same on `/mcp/{server}`, whatever the method is called: it is about one of the client's own
/// tasks, or about those in a list.
async fn request_one(context: &Arc<CallContext>, server: &ServerName, ask: &Ask) -> Reply {
    if ask.era == Era::Modern && is_common(context, server) {
        // What no task could change comes before whose the task is: the revision, and what the
        // client declared.
        if matches!(ask.method.as_str(), method::TASKS_RESULT | method::TASKS_LIST) {
            return Err(Problem::method_not_found(&ask.method));
        }
        if Method::of(&ask.method, ask.era).is_some()
            && !dialect::is_declared_by(ask.requester.client_capabilities())
        {
            return Err(undeclared());
        }
    }
    if ask.method == method::TASKS_LIST {
        return list::of_one(context, server, ask).await;
    }
    let Some(id) = &ask.head()?.task_id else {
        if !is_common(context, server) {
            check_method(&*ask.allow, server, &ask.method)?;
            return forward(context, ask, server, ask.params.clone()).await;
        }
        return Err(if Method::of(&ask.method, ask.era).is_some() {
            Problem::missing(member::TASK_ID)
        } else {
            Problem::method_not_found(&ask.method)
        });
    };
    if Method::of(&ask.method, ask.era).is_none() {
        check_method(&*ask.allow, server, &ask.method)?;
    }
    own_at(context, server, ask, id).await?;
    let reply = forward(context, ask, server, ask.params.clone()).await;
    given(context, server, ask, id, reply).await
}

/// The answer, if the caller may still have it: that of `tasks/result` comes when the task is done,
/// and the tool may have been denied meanwhile.
async fn given(
    context: &Arc<CallContext>,
    server: &ServerName,
    ask: &Ask,
    id: &str,
    reply: Reply,
) -> Reply {
    if let Ok(Outcome::Result(_)) = &reply {
        own_at(context, server, ask, id).await?;
        ownership::note_followed(context, ask, server, id).await;
    }
    reply
}

/// May the client follow this task of this server?
async fn own_at(
    context: &Arc<CallContext>,
    server: &ServerName,
    ask: &Ask,
    id: &str,
) -> Result<(), Problem> {
    match owned(context, ask, server, id).await? {
        Some(origin) => permitted(context, ask, &origin).await,
        None if is_common(context, server) => Err(not_found()),
        // The child is the client's alone, so whatever tasks it has are.
        None => {
            let origin = TaskOrigin { server: server.clone(), tool: None, session: None };
            permitted(context, ask, &origin).await
        }
    }
}

/// The server of a task that a client wants to hear of.
pub(crate) async fn server_of(
    context: &Arc<CallContext>,
    ask: &Ask,
    id: &str,
) -> Result<ServerName, Problem> {
    if let View::One(server) = &ask.view {
        return own_at(context, server, ask, id).await.map(|()| server.clone());
    }
    let servers = asked(context, ask, Method::Get)?;
    find(context, ask, id, servers).await.map(|found| found.server)
}

/// May the caller ask this?
pub(crate) async fn check(context: &Arc<CallContext>, ask: &Ask) -> Result<(), Problem> {
    match &ask.head()?.task_id {
        Some(id) => server_of(context, ask, id).await.map(drop),
        None => Ok(()),
    }
}

/// The servers that can be asked this, as far as is known of them: one that was not met
/// yet may be such a one.
fn asked(context: &CallContext, ask: &Ask, method: Method) -> Result<Vec<ServerName>, Problem> {
    let mut servers = context.registry.allowed(&*ask.allow);
    servers.retain(|server| {
        context
            .registry
            .may_have(server, ask.era, |declared| method.is_served_by(declared, ask.era))
    });
    if servers.is_empty() {
        return Err(Problem::method_not_found(&ask.method));
    }
    if !dialect::is_declared_by(ask.requester.client_capabilities()) {
        // Every server of the extension would refuse.
        let has_core_tasks = |server: &ServerName| {
            context
                .registry
                .may_have(server, ask.era, |declared| capabilities::has(declared, "tasks"))
        };
        servers.retain(|server| ask.era == Era::Legacy && has_core_tasks(server));
        if servers.is_empty() {
            return Err(undeclared());
        }
    }
    Ok(servers)
}

/// The client has not declared the extension.
pub(crate) fn undeclared() -> Problem {
    let required = serde_json::json!({ "extensions": { extension::TASKS: {} } });
    Problem::missing_capability(&Missing {
        name: "extensions.io.modelcontextprotocol/tasks",
        required,
    })
}

struct Found {
    server: ServerName,
    /// The answer to `tasks/get`, when it had to be asked to find out.
    state: Option<Payload>,
}

async fn find(
    context: &Arc<CallContext>,
    ask: &Ask,
    id: &str,
    servers: Vec<ServerName>,
) -> Result<Found, Problem> {
    let mut origins = own_of(context, ask, &servers, id).await?;
    let mut verdicts = Vec::new();
    for origin in &origins {
        verdicts.push(verdict(context, ask, origin).await?);
    }
    let mut verdicts = verdicts.into_iter();
    origins.retain(|origin| {
        let is_hidden = verdicts.next() == Some(Verdict::Hidden);
        if is_hidden {
            tell_hidden(ask, origin);
        }
        !is_hidden
    });
    match origins.as_slice() {
        [] => ask_around(context, ask, id, servers).await,
        [origin] => permitted(context, ask, origin)
            .await
            .map(|()| Found { server: origin.server.clone(), state: None }),
        several => Err(ambiguous(several.iter().map(|origin| &origin.server))),
    }
}

async fn permitted(
    context: &Arc<CallContext>,
    ask: &Ask,
    origin: &TaskOrigin,
) -> Result<(), Problem> {
    match verdict(context, ask, origin).await? {
        Verdict::Allowed => Ok(()),
        Verdict::NotGranted => {
            let what = origin.tool.clone().map_or(Wanted::Server, Wanted::Tool);
            Err(Problem::not_granted(&origin.server, what))
        }
        Verdict::Unmet(what) => {
            tell_hidden(ask, origin);
            Err(unmet(what))
        }
        Verdict::Hidden => {
            tell_hidden(ask, origin);
            Err(not_found())
        }
    }
}

/// A task of the requester's own, of a tool that was denied since.
fn tell_hidden(ask: &Ask, origin: &TaskOrigin) {
    if let (Some(observer), Some(tool)) = (ask.observer.as_deref(), &origin.tool) {
        observer.refused(Called::Tool, Some(&origin.server), tool);
    }
}

/// Who may call the tool may follow what became of the call. Where the tool is not known, a task is
/// a thing of the whole server's.
async fn verdict(
    context: &Arc<CallContext>,
    ask: &Ask,
    origin: &TaskOrigin,
) -> Result<Verdict, Problem> {
    Ok(match (ask.allow.server(&origin.server), &origin.tool) {
        (Verdict::Allowed, Some(tool)) => {
            let hints = hints(context, &origin.server, ask, tool).await?;
            // With which arguments it was called is not known any more.
            ask.allow.tool(&origin.server, tool, hints, CalledWith::Any)
        }
        (Verdict::Allowed, None) => ask.allow.method(&origin.server, &ask.method),
        (other, _) => other,
    })
}

/// No record says whose the task is. All at once, those servers are asked for it whose process is
/// the client's alone: what another has is not the client's.
async fn ask_around(
    context: &Arc<CallContext>,
    ask: &Ask,
    id: &str,
    mut servers: Vec<ServerName>,
) -> Result<Found, Problem> {
    let withheld = servers
        .iter()
        .find(|server| ask.allow.method(server, &ask.method) == Verdict::NotGranted)
        .cloned();
    servers.retain(|server| {
        ask.allow.method(server, &ask.method).is_allowed() && !is_common(context, server)
    });
    if let (true, Some(server)) = (servers.is_empty(), withheld) {
        return Err(Problem::not_granted(&server, Wanted::Server));
    }
    let states =
        futures::future::join_all(servers.iter().map(|server| state_of(context, ask, server, id)))
            .await;
    let (mut found, mut down) = (Vec::new(), Vec::new());
    for (server, state) in servers.into_iter().zip(states) {
        match state {
            Ok(Some(state)) => found.push(Found { server, state: Some(state) }),
            Ok(None) => {}
            Err(_) => down.push(server.to_string()),
        }
    }
    if found.len() > 1 {
        return Err(ambiguous(found.iter().map(|found| &found.server)));
    }
    found.pop().ok_or_else(|| {
        let down = if down.is_empty() {
            String::new()
        } else {
            format!(" (not available now: {})", down.join(", "))
        };
        Problem::invalid_params(format!("Task not found{down}"))
    })
}

/// The state of the task at this server, if it has such a task.
async fn state_of(
    context: &Arc<CallContext>,
    ask: &Ask,
    server: &ServerName,
    id: &str,
) -> Result<Option<Payload>, Problem> {
    let question = async {
        let peer = context
            .connections
            .connect(server, &ask.requester)
            .await
            .map_err(|error| Problem::server(server, error))?;
        if !Method::Get.is_served_by(&peer.info().capabilities, ask.era) {
            return Ok(None);
        }
        let ask =
            ask.instead(method::TASKS_GET, wire::object(&[(member::TASK_ID, &wire::quote(id))]));
        match forward(context, &ask, server, ask.params.clone()).await? {
            Outcome::Result(state) if dialect::id(&state).as_deref() == Some(id) => Ok(Some(state)),
            _ => Ok(None),
        }
    };
    let late = || Problem::server(server, UpstreamError::Timeout);
    tokio::time::timeout(context.settings.list_deadline, question).await.map_err(|_| late())?
}

fn ambiguous<'a>(servers: impl Iterator<Item = &'a ServerName>) -> Problem {
    let servers = servers.map(ServerName::as_str).collect::<Vec<_>>().join(", ");
    Problem::invalid_params(format!(
        "several servers ({servers}) have a task of this id: use `/mcp/{{server}}` to say which one"
    ))
}
