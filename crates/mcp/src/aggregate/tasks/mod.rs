//! Tasks: what a client asks about one goes to the server that made it, if it is the client's own. Whose a task is, is written down when it
//! is made ([`ownership`]), and asked by one predicate in every view. Two servers that made the same id for one owner cannot be told apart
//! on `/mcp`, so neither is asked. What the two kinds of tasks have in common is in [`dialect`], the merged list in [`list`].

use std::sync::Arc;

use portunus_core::ids::ServerName;

pub(crate) mod dialect;
pub(crate) mod list;
mod ownership;
pub(crate) mod table;

pub(crate) use self::ownership::note_made;
use self::{
    dialect::{EXTENSION, Method},
    ownership::{is_common, not_found, own_of, owned},
    table::Maker,
};
use crate::{
    allow::Verdict,
    answer::Wanted,
    client_capabilities::Missing,
    era::Era,
    hub::{
        Inner, View,
        ask::Ask,
        capabilities,
        reply::{Problem, Reply},
        single::check_method,
    },
    wire::{self, Outcome, Payload},
};

/// The method that tells whether a server has a task.
const GET: &str = "tasks/get";

/// `tasks/get` and its kin, on `/mcp`.
pub(crate) async fn request(hub: &Arc<Inner>, ask: &Ask, method: Method) -> Reply {
    let servers = asked(hub, ask, method)?;
    if method == Method::List {
        return list::merged(hub, ask, servers).await;
    }
    let id = ask.head()?.task_id.ok_or_else(|| Problem::missing("taskId"))?;
    let found = find(hub, ask, &id, servers).await?;
    let reply = match found.state {
        Some(state) if method == Method::Get => Ok(Outcome::Result(state)),
        _ => ask.forward(hub, &found.server, ask.params.clone()).await,
    };
    if let Ok(Outcome::Result(_)) = &reply {
        ownership::note_followed(hub, ask, &found.server, &id).await;
    }
    reply
}

/// The same on `/mcp/{server}`, whatever the method is called: it is about one of the client's own tasks, or about those in a list.
pub(crate) async fn request_one(hub: &Arc<Inner>, server: &ServerName, ask: &Ask) -> Reply {
    if ask.era == Era::Modern && is_common(hub, server) {
        // What no task could change comes before whose the task is: the revision, and what the client declared.
        if matches!(ask.method.as_str(), "tasks/result" | "tasks/list") {
            return Err(Problem::method_not_found(&ask.method));
        }
        if Method::of(&ask.method, ask.era).is_some() && !dialect::is_declared_by(ask.asker.client_capabilities()) {
            return Err(undeclared());
        }
    }
    if ask.method == "tasks/list" {
        return list::of_one(hub, server, ask).await;
    }
    let Some(id) = ask.head()?.task_id else {
        if !is_common(hub, server) {
            check_method(&*ask.allow, server, &ask.method)?;
            return ask.forward(hub, server, ask.params.clone()).await;
        }
        return Err(if Method::of(&ask.method, ask.era).is_some() {
            Problem::missing("taskId")
        } else {
            Problem::method_not_found(&ask.method)
        });
    };
    own_at(hub, server, ask, &id).await?;
    let reply = ask.forward(hub, server, ask.params.clone()).await;
    if let Ok(Outcome::Result(_)) = &reply {
        ownership::note_followed(hub, ask, server, &id).await;
    }
    reply
}

/// May the client follow this task of this server?
async fn own_at(hub: &Arc<Inner>, server: &ServerName, ask: &Ask, id: &str) -> Result<(), Problem> {
    match owned(hub, ask, server, id).await? {
        Some(maker) => permitted(ask, &maker),
        None if is_common(hub, server) => Err(not_found()),
        // The child is the client's alone, so whatever tasks it has are.
        None => permitted(ask, &Maker { server: server.clone(), tool: None, session: None }),
    }
}

/// The server of a task that a client wants to hear of.
pub(crate) async fn server_of(hub: &Arc<Inner>, ask: &Ask, id: &str) -> Result<ServerName, Problem> {
    if let View::One(server) = &ask.view {
        return own_at(hub, server, ask, id).await.map(|()| server.clone());
    }
    let servers = asked(hub, ask, Method::Get)?;
    find(hub, ask, id, servers).await.map(|found| found.server)
}

/// May the caller ask this?
pub(crate) async fn guard(hub: &Arc<Inner>, ask: &Ask) -> Result<(), Problem> {
    match ask.head()?.task_id {
        Some(id) => server_of(hub, ask, &id).await.map(drop),
        None => Ok(()),
    }
}

/// The servers that can be asked this, as far as is known of them: one that nobody was connected to yet may be such a one.
fn asked(hub: &Inner, ask: &Ask, method: Method) -> Result<Vec<ServerName>, Problem> {
    let mut servers = hub.allowed_servers(&*ask.allow);
    servers.retain(|server| hub.may_have(server, ask.era, |declared| method.is_served_by(declared, ask.era)));
    if servers.is_empty() {
        return Err(Problem::method_not_found(&ask.method));
    }
    if !dialect::is_declared_by(ask.asker.client_capabilities()) {
        // Every server of the extension would refuse.
        let has_core_tasks = |server: &ServerName| hub.may_have(server, ask.era, |declared| capabilities::has(declared, "tasks"));
        servers.retain(|server| ask.era == Era::Legacy && has_core_tasks(server));
        if servers.is_empty() {
            return Err(undeclared());
        }
    }
    Ok(servers)
}

/// The client has not declared the extension.
pub(crate) fn undeclared() -> Problem {
    let required = serde_json::json!({ "extensions": { EXTENSION: {} } });
    Problem::missing_capability(&Missing { name: "extensions.io.modelcontextprotocol/tasks", required })
}

struct Found {
    server: ServerName,
    /// The answer to `tasks/get`, when it had to be asked to find out.
    state: Option<Payload>,
}

async fn find(hub: &Arc<Inner>, ask: &Ask, id: &str, servers: Vec<ServerName>) -> Result<Found, Problem> {
    let mut makers = own_of(hub, ask, &servers, id).await?;
    makers.retain(|maker| verdict(ask, maker) != Verdict::Hidden);
    match makers.as_slice() {
        [] => ask_around(hub, ask, id, servers).await,
        [maker] => permitted(ask, maker).map(|()| Found { server: maker.server.clone(), state: None }),
        several => Err(ambiguous(several.iter().map(|maker| &maker.server))),
    }
}

fn permitted(ask: &Ask, maker: &Maker) -> Result<(), Problem> {
    match verdict(ask, maker) {
        Verdict::Allowed => Ok(()),
        Verdict::NotGranted => {
            let what = maker.tool.clone().map_or(Wanted::Server, Wanted::Tool);
            Err(Problem::not_granted(&maker.server, what))
        }
        Verdict::Hidden => Err(not_found()),
    }
}

/// Who may call the tool may follow what became of the call. Where the tool is not known, a task is a thing of the whole server's.
fn verdict(ask: &Ask, maker: &Maker) -> Verdict {
    match (ask.allow.server(&maker.server), &maker.tool) {
        (Verdict::Allowed, Some(tool)) => ask.allow.tool(&maker.server, tool),
        (Verdict::Allowed, None) => ask.allow.method(&maker.server, &ask.method),
        (other, _) => other,
    }
}

/// No record says whose the task is. All at once, those servers are asked for it whose process is the client's alone: what another has is
/// not the client's.
async fn ask_around(hub: &Arc<Inner>, ask: &Ask, id: &str, mut servers: Vec<ServerName>) -> Result<Found, Problem> {
    let withheld = servers.iter().find(|server| ask.allow.method(server, &ask.method) == Verdict::NotGranted).cloned();
    servers.retain(|server| ask.allow.method(server, &ask.method).is_allowed() && !is_common(hub, server));
    if let (true, Some(server)) = (servers.is_empty(), withheld) {
        return Err(Problem::not_granted(&server, Wanted::Server));
    }
    let states = futures::future::join_all(servers.iter().map(|server| state_of(hub, ask, server, id))).await;
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
        let down = if down.is_empty() { String::new() } else { format!(" (not available now: {})", down.join(", ")) };
        Problem::invalid_params(format!("Task not found{down}"))
    })
}

/// The state of the task at this server, if it has such a task.
async fn state_of(hub: &Arc<Inner>, ask: &Ask, server: &ServerName, id: &str) -> Result<Option<Payload>, Problem> {
    let question = async {
        let peer = hub.connect(server, &ask.asker).await.map_err(|error| Problem::server(server, error))?;
        if !Method::Get.is_served_by(&peer.info().capabilities, ask.era) {
            return Ok(None);
        }
        let ask = ask.instead(GET, wire::object(&[("taskId", &wire::quote(id))]));
        match ask.forward(hub, server, ask.params.clone()).await? {
            Outcome::Result(state) if dialect::id(&state).as_deref() == Some(id) => Ok(Some(state)),
            _ => Ok(None),
        }
    };
    let late = || Problem::server(server, crate::upstream::UpstreamError::Timeout);
    tokio::time::timeout(hub.settings.list_deadline, question).await.map_err(|_| late())?
}

fn ambiguous<'a>(servers: impl Iterator<Item = &'a ServerName>) -> Problem {
    let servers = servers.map(ServerName::as_str).collect::<Vec<_>>().join(", ");
    Problem::invalid_params(format!("several servers ({servers}) have a task of this id: use `/mcp/{{server}}` to say which one"))
}
