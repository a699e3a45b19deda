//! Tasks on `/mcp`: what a client asks about a task goes to the server that made it. Which one that is, is remembered when the task is made
//! ([`table`]); of a task that nobody here remembers, every server that could have made it is asked. Two servers that made the same id
//! cannot be told apart, so neither is asked. What the two kinds of tasks have in common is in [`dialect`], the merged list in [`list`].

use std::sync::Arc;

use portunus_core::ids::ServerName;

pub(crate) mod dialect;
pub(crate) mod list;
pub(crate) mod table;

use self::{
    dialect::{EXTENSION, Method},
    table::Maker,
};
use crate::{
    allow::Verdict,
    answer::Wanted,
    era::Era,
    face::Missing,
    hub::{
        Inner,
        ask::Ask,
        capabilities,
        reply::{Problem, Reply},
    },
    spec::Isolation,
    wire::{self, Outcome, Payload},
};

/// The method that tells whether a server has a task.
const GET: &str = "tasks/get";

/// `tasks/get` and its kin.
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
        note(hub, ask, &found.server, None, &id);
    }
    reply
}

/// The server of a task that a client wants to hear of.
pub(crate) async fn server_of(hub: &Arc<Inner>, ask: &Ask, id: &str) -> Result<ServerName, Problem> {
    let servers = asked(hub, ask, Method::Get)?;
    find(hub, ask, id, servers).await.map(|found| found.server)
}

/// Remembers the task, if this answer to a call of the tool is one.
pub(crate) fn note_made(hub: &Inner, ask: &Ask, server: &ServerName, tool: &str, reply: &Reply) {
    if let Ok(Outcome::Result(result)) = reply
        && let Some(id) = dialect::made(result)
    {
        note(hub, ask, server, Some(tool.to_owned()), &id);
    }
}

fn note(hub: &Inner, ask: &Ask, server: &ServerName, tool: Option<String>, id: &str) {
    let session = ask.speaker.as_ref().map(|session| session.id.clone());
    hub.tasks.note(ask.asker.user(), id, Maker { server: server.clone(), tool, session });
}

/// The servers that can be asked this, as far as is known of them: one that nobody was connected to yet may be such a one.
fn asked(hub: &Inner, ask: &Ask, method: Method) -> Result<Vec<ServerName>, Problem> {
    let mut servers = hub.allowed_servers(&*ask.allow);
    servers.retain(|server| hub.may_have(server, |declared| method.is_served_by(declared, ask.era)));
    if servers.is_empty() {
        return Err(Problem::method_not_found(&ask.method));
    }
    if !dialect::is_declared_by(ask.asker.face()) {
        // Every server of the extension would refuse.
        let has_core_tasks = |server: &ServerName| hub.may_have(server, |declared| capabilities::has(declared, "tasks"));
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
    let mut makers = hub.tasks.makers(ask.asker.user(), id);
    makers.retain(|maker| verdict(ask, maker) != Verdict::Hidden);
    match makers.as_slice() {
        [] => ask_around(hub, ask, id, servers).await,
        [maker] if verdict(ask, maker).is_allowed() => Ok(Found { server: maker.server.clone(), state: None }),
        [maker] => {
            let what = maker.tool.clone().map_or(Wanted::Server, Wanted::Tool);
            Err(Problem::not_granted(&maker.server, what))
        }
        several => Err(ambiguous(several.iter().map(|maker| &maker.server))),
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

/// Nobody here remembers the task: all at once, the servers are asked for it.
async fn ask_around(hub: &Arc<Inner>, ask: &Ask, id: &str, mut servers: Vec<ServerName>) -> Result<Found, Problem> {
    let withheld = servers.iter().find(|server| ask.allow.method(server, &ask.method) == Verdict::NotGranted).cloned();
    servers.retain(|server| ask.allow.method(server, &ask.method).is_allowed() && !is_of_another(hub, ask, server, id));
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

/// A server that everybody shares cannot tell whose task is asked for. What is known here counts.
fn is_of_another(hub: &Inner, ask: &Ask, server: &ServerName, id: &str) -> bool {
    hub.spec(server).is_some_and(|spec| spec.isolation == Isolation::Shared)
        && hub.tasks.is_of_another(ask.asker.user(), id, server)
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
