//! Which server a name or a URI belongs to. The same rules make the lists ([`super::merge`]), so
//! what is listed can be called.

use std::sync::Arc;

use portunus_core::{access::ToolHints, ids::ServerName};

use super::{
    ask::Ask,
    context::CallContext,
    template::{self, Matching},
};
use crate::{
    allow::{CalledWith, Unmet, Verdict},
    answer::Wanted,
    lists::{ServerLists, names},
    permission::{may_list, unknown, unmet, verdict},
    problem::Problem,
    registry::{kind::Kind, list::List},
    settings::Names,
    wire::capabilities,
};

/// How URIs of user interfaces begin.
const INTERFACE: &str = "ui://";

/// A tool or prompt as its server calls it.
#[derive(Debug)]
pub(crate) struct Named {
    pub(crate) server: ServerName,
    pub(crate) name: String,
    /// What its server says of a tool. One that the client has not been granted is assumed to only
    /// read: what it is will be looked at when it has been.
    hints: ToolHints,
}

pub(crate) async fn by_name(
    context: &Arc<CallContext>,
    ask: &Ask,
    kind: Kind,
    full: &str,
    with: CalledWith<'_>,
) -> Result<Named, Problem> {
    let servers = context.registry.allowed(&*ask.allow);
    let found = match context.registry.load().names {
        Names::Prefixed => by_prefix(context, ask, kind, full, &servers).await?,
        Names::Plain => by_plain_name(context, ask, kind, full, servers).await?,
    };
    match verdict(&*ask.allow, &found.server, kind, &found.name, found.hints, with) {
        Verdict::Allowed => Ok(found),
        Verdict::NotGranted => {
            let what = match kind {
                Kind::Tools => Wanted::Tool(found.name),
                _ => Wanted::Prompt(found.name),
            };
            Err(Problem::not_granted(&found.server, what))
        }
        Verdict::Unmet(what) => Err(unmet(what)),
        // Said of the name that was asked for.
        Verdict::Hidden => Err(unknown(kind, full)),
    }
}

/// The longest server name decides, even when that server is down: another must not step into its
/// place.
async fn by_prefix(
    context: &Arc<CallContext>,
    ask: &Ask,
    kind: Kind,
    full: &str,
    servers: &[ServerName],
) -> Result<Named, Problem> {
    for (server, name) in names::candidates(servers, full) {
        let list = context
            .lists
            .of_server(server, kind, &ask.requester)
            .await
            .map_err(|error| Problem::server(server, error))?;
        if let Some(item) = list.item(name) {
            let hints = item.hints;
            return Ok(Named { server: server.clone(), name: name.to_owned(), hints });
        }
    }
    // A server that the client has nothing of is not asked whether it has such a thing: its name is
    // enough to say what is missing.
    let unmet_ones = context.registry.unmet(&*ask.allow);
    if !names::candidates(&unmet_ones, full).is_empty() {
        return Err(unmet(Unmet::SignIn));
    }
    let withheld = context.registry.withheld(&*ask.allow);
    match names::candidates(&withheld, full).first() {
        Some((server, name)) => {
            let (server, name) = ((*server).clone(), (*name).to_owned());
            Ok(Named { server, name, hints: ToolHints::reading() })
        }
        None => Err(unknown(kind, full)),
    }
}

async fn by_plain_name(
    context: &Arc<CallContext>,
    ask: &Ask,
    kind: Kind,
    name: &str,
    servers: Vec<ServerName>,
) -> Result<Named, Problem> {
    let lists = context.lists.of_servers(servers, kind, &ask.requester).await;
    let mut owners = lists.iter().filter_map(|(server, list)| {
        let item = list.as_ref().ok()?.item(name)?;
        may_list(&*ask.allow, server, kind, item).then_some((server, item.hints))
    });
    match (owners.next(), owners.next()) {
        (Some((server, hints)), None) => {
            Ok(Named { server: server.clone(), name: name.to_owned(), hints })
        }
        (Some((one, _)), Some((other, _))) => {
            Err(Problem::invalid_params(names::clash(kind, name, &[one, other])))
        }
        (None, _) => match withheld(context, ask, kind, name, |list| list.has(name)).await {
            Some(server) => {
                Ok(Named { server, name: name.to_owned(), hints: ToolHints::reading() })
            }
            None if needs_sign_in(context, ask, kind, name) => Err(unmet(Unmet::SignIn)),
            None => Err(Problem::invalid_params(format!(
                "Unknown {}: {name}{}",
                kind.word(),
                unavailable(&lists)
            ))),
        },
    }
}

/// Is there a server at which the caller could use it after a sign-in? None is asked whether it has
/// such a thing.
fn needs_sign_in(context: &Arc<CallContext>, ask: &Ask, kind: Kind, name: &str) -> bool {
    let registry = context.registry.load();
    let hints = ToolHints::reading();
    registry.names().any(|server| {
        verdict(&*ask.allow, server, kind, name, hints, CalledWith::Any)
            == Verdict::Unmet(Unmet::SignIn)
    })
}

/// The first server that has it, among those of which the client could be granted it.
async fn withheld(
    context: &Arc<CallContext>,
    ask: &Ask,
    kind: Kind,
    id: &str,
    has: impl Fn(&List) -> bool,
) -> Option<ServerName> {
    let registry = context.registry.load();
    let hints = ToolHints::reading();
    let servers = registry.names().filter(|server| {
        verdict(&*ask.allow, server, kind, id, hints, CalledWith::Any) == Verdict::NotGranted
    });
    first(&context.lists.of_servers(servers.cloned().collect(), kind, &ask.requester).await, has)
}

/// Of a user interface, the first server whose tool names it; else the first server in order that
/// lists the URI; else the first with a template for it; else the only one that has resources at
/// all, for servers need not list everything.
pub(crate) async fn by_uri(
    context: &Arc<CallContext>,
    ask: &Ask,
    uri: &str,
) -> Result<ServerName, Problem> {
    if uri.starts_with(INTERFACE)
        && let Some(server) = by_interface(context, ask, uri).await?
    {
        return Ok(server);
    }
    let allowed = |server: &ServerName| ask.allow.resource(server, uri).is_allowed();
    let mut servers = context.registry.allowed(&*ask.allow);
    servers.retain(allowed);
    let resources =
        context.lists.of_servers(servers.clone(), Kind::Resources, &ask.requester).await;
    if let Some(server) = first(&resources, |list| list.has(uri)) {
        return Ok(server);
    }
    let templates =
        context.lists.of_servers(servers.clone(), Kind::Templates, &ask.requester).await;
    let has_template =
        |list: &List, how| list.items().iter().any(|item| template::matches(&item.id, uri, how));
    for how in [Matching::Strict, Matching::Loose] {
        if let Some(server) = first(&templates, |list| has_template(list, how)) {
            return Ok(server);
        }
    }
    let withheld = match withheld(context, ask, Kind::Resources, uri, |list| list.has(uri)).await {
        None => {
            withheld(context, ask, Kind::Templates, uri, |list| {
                has_template(list, Matching::Strict)
            })
            .await
        }
        found => found,
    };
    if let Some(server) = withheld {
        return Err(Problem::not_granted(&server, Wanted::Resource(uri.to_owned())));
    }
    let has_resources = |server: &ServerName| {
        context
            .registry
            .may_have(server, ask.era, |declared| capabilities::has(declared, "resources"))
    };
    let mut with_resources = servers.into_iter().filter(has_resources);
    match (with_resources.next(), with_resources.next()) {
        (Some(server), None) => Ok(server),
        _ => Err(Problem::resource_not_found(
            uri,
            format!("Resource not found{}", unavailable(&resources)),
        )),
    }
}

/// MCP Apps: servers need not list what a tool of theirs names. A server that lists the interface
/// of another one's tool does not get to show it.
async fn by_interface(
    context: &Arc<CallContext>,
    ask: &Ask,
    uri: &str,
) -> Result<Option<ServerName>, Problem> {
    let lists = context
        .lists
        .of_servers(context.registry.allowed(&*ask.allow), Kind::Tools, &ask.requester)
        .await;
    let names_it = |server: &ServerName, list: &List| {
        let mut tools = list.items().iter().filter(|tool| tool.interface.as_deref() == Some(uri));
        tools.any(|tool| may_list(&*ask.allow, server, Kind::Tools, tool))
    };
    let named = lists
        .iter()
        .filter(|(server, list)| list.as_ref().is_ok_and(|list| names_it(server, list)));
    let mut withheld = None;
    for (server, _) in named {
        match ask.allow.resource(server, uri) {
            Verdict::Allowed => return Ok(Some(server.clone())),
            Verdict::NotGranted => withheld = withheld.or(Some(server)),
            Verdict::Hidden | Verdict::Unmet(_) => {}
        }
    }
    match withheld {
        Some(server) => Err(Problem::not_granted(server, Wanted::Resource(uri.to_owned()))),
        None => Ok(None),
    }
}

/// `completion/complete` names a template by its text, or a resource.
pub(crate) async fn by_template(
    context: &Arc<CallContext>,
    ask: &Ask,
    uri: &str,
) -> Result<ServerName, Problem> {
    let mut servers = context.registry.allowed(&*ask.allow);
    servers.retain(|server| ask.allow.resource(server, uri).is_allowed());
    let templates = context.lists.of_servers(servers, Kind::Templates, &ask.requester).await;
    match first(&templates, |list| list.has(uri)) {
        Some(server) => Ok(server),
        None => match withheld(context, ask, Kind::Templates, uri, |list| list.has(uri)).await {
            Some(server) => Err(Problem::not_granted(&server, Wanted::Resource(uri.to_owned()))),
            None => by_uri(context, ask, uri).await,
        },
    }
}

fn first(lists: &ServerLists, fits: impl Fn(&List) -> bool) -> Option<ServerName> {
    lists
        .iter()
        .find(|(_, list)| list.as_ref().is_ok_and(|list| fits(list)))
        .map(|(server, _)| server.clone())
}

/// The end of a message that something was not found: perhaps a server that is down has it.
fn unavailable(lists: &ServerLists) -> String {
    let down: Vec<_> =
        lists.iter().filter(|(_, list)| list.is_err()).map(|(server, _)| server.as_str()).collect();
    if down.is_empty() {
        String::new()
    } else {
        format!(" (not available now: {})", down.join(", "))
    }
}
