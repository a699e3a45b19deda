//! Which server a name or a URI belongs to. The same rules make the lists ([`super::merge`]), so what is listed can be called.

use std::{sync::Arc, time::Duration};

use portunus_core::ids::ServerName;

use super::{
    catalogue::Shown,
    kind::Kind,
    list::List,
    names,
    template::{self, Matching},
};
use crate::{
    allow::Verdict,
    answer::Wanted,
    hub::{
        Asker, Inner, Names,
        ask::Ask,
        capabilities,
        reply::Problem,
        single::{check, may_list, unknown, verdict},
    },
    upstream::UpstreamError,
};

/// How URIs of user interfaces begin.
const INTERFACE: &str = "ui://";

/// A tool or prompt as its server calls it.
#[derive(Debug)]
pub(crate) struct Named {
    pub(crate) server: ServerName,
    pub(crate) name: String,
}

/// One kind of list of every server that may be known of, in order.
pub(crate) type Lists = Vec<(ServerName, Result<Arc<List>, UpstreamError>)>;

impl Inner {
    /// All at once: none waits for another.
    pub(crate) async fn lists(self: &Arc<Self>, servers: Vec<ServerName>, kind: Kind, asker: &Asker) -> Lists {
        let lists = futures::future::join_all(servers.iter().map(|server| self.list(server, kind, asker))).await;
        servers.into_iter().zip(lists).collect()
    }

    /// The same, to be shown; and how long all of it is good, as far as servers say so. A list that is missing may come at any time.
    pub(crate) async fn lists_to_show(
        self: &Arc<Self>,
        servers: Vec<ServerName>,
        kind: Kind,
        asker: &Asker,
    ) -> (Lists, Option<Duration>) {
        let shown = servers.iter().map(|server| self.list_to_show(server, kind, asker));
        let shown = futures::future::join_all(shown).await;
        let good_for = |shown: &Result<Shown, _>| shown.as_ref().map_or(Some(Duration::ZERO), |shown| shown.good_for);
        let least = shown.iter().filter_map(good_for).min();
        (servers.into_iter().zip(shown.into_iter().map(|shown| shown.map(|shown| shown.list))).collect(), least)
    }
}

pub(crate) async fn by_name(hub: &Arc<Inner>, ask: &Ask, kind: Kind, full: &str) -> Result<Named, Problem> {
    let servers = hub.allowed_servers(&*ask.allow);
    let found = match hub.registry.load().names {
        Names::Prefixed => by_prefix(hub, ask, kind, full, &servers).await?,
        Names::Plain => by_plain_name(hub, ask, kind, full, servers).await?,
    };
    match check(&*ask.allow, &found.server, kind, &found.name) {
        Ok(()) => Ok(found),
        Err(problem @ Problem::NotGranted(_)) => Err(problem),
        // Said of the name that was asked for.
        Err(_) => Err(unknown(kind, full)),
    }
}

/// The longest server name decides, even when that server is down: another must not step into its place.
async fn by_prefix(hub: &Arc<Inner>, ask: &Ask, kind: Kind, full: &str, servers: &[ServerName]) -> Result<Named, Problem> {
    for (server, name) in names::candidates(servers, full) {
        let list = hub.list(server, kind, &ask.asker).await.map_err(|error| Problem::server(server, error))?;
        if list.has(name) {
            return Ok(Named { server: server.clone(), name: name.to_owned() });
        }
    }
    // A server that the client has nothing of is not asked whether it has such a thing: its name is enough to say what is
    // missing.
    let withheld = hub.withheld_servers(&*ask.allow);
    match names::candidates(&withheld, full).first() {
        Some((server, name)) => Ok(Named { server: (*server).clone(), name: (*name).to_owned() }),
        None => Err(unknown(kind, full)),
    }
}

async fn by_plain_name(hub: &Arc<Inner>, ask: &Ask, kind: Kind, name: &str, servers: Vec<ServerName>) -> Result<Named, Problem> {
    let lists = hub.lists(servers, kind, &ask.asker).await;
    let offers = |(server, list): &&(ServerName, Result<Arc<List>, UpstreamError>)| {
        list.as_ref().is_ok_and(|list| list.has(name)) && may_list(&*ask.allow, server, kind, name)
    };
    let mut owners = lists.iter().filter(offers).map(|(server, _)| server);
    match (owners.next(), owners.next()) {
        (Some(server), None) => Ok(Named { server: server.clone(), name: name.to_owned() }),
        (Some(one), Some(other)) => Err(Problem::invalid_params(clash(kind, name, &[one, other]))),
        (None, _) => match withheld(hub, ask, kind, name, |list| list.has(name)).await {
            Some(server) => Ok(Named { server, name: name.to_owned() }),
            None => Err(Problem::invalid_params(format!("Unknown {}: {name}{}", kind.word(), unavailable(&lists)))),
        },
    }
}

/// The first server that has it, among those of which the client could be granted it.
async fn withheld(hub: &Arc<Inner>, ask: &Ask, kind: Kind, id: &str, has: impl Fn(&List) -> bool) -> Option<ServerName> {
    let registry = hub.registry.load();
    let servers = registry.names().filter(|server| verdict(&*ask.allow, server, kind, id) == Verdict::NotGranted);
    first(&hub.lists(servers.cloned().collect(), kind, &ask.asker).await, has)
}

/// What is said of a name that several servers offer.
pub(crate) fn clash(kind: Kind, name: &str, servers: &[&ServerName]) -> String {
    let servers = servers.iter().map(|server| server.as_str()).collect::<Vec<_>>().join(", ");
    format!(
        "The {} `{name}` is offered by several servers ({servers}) and cannot be used here: use `/mcp/{{server}}`, or let the \
         gateway prefix names (`names: prefixed`)",
        kind.word()
    )
}

/// Of a user interface, the first server whose tool names it; else the first server in order that lists the URI; else the first with a
/// template for it; else the only one that has resources at all, for servers need not list everything.
pub(crate) async fn by_uri(hub: &Arc<Inner>, ask: &Ask, uri: &str) -> Result<ServerName, Problem> {
    if uri.starts_with(INTERFACE)
        && let Some(server) = by_interface(hub, ask, uri).await?
    {
        return Ok(server);
    }
    let allowed = |server: &ServerName| ask.allow.resource(server, uri).is_allowed();
    let mut servers = hub.allowed_servers(&*ask.allow);
    servers.retain(allowed);
    let resources = hub.lists(servers.clone(), Kind::Resources, &ask.asker).await;
    if let Some(server) = first(&resources, |list| list.has(uri)) {
        return Ok(server);
    }
    let templates = hub.lists(servers.clone(), Kind::Templates, &ask.asker).await;
    let has_template = |list: &List, how| list.items().iter().any(|item| template::matches(&item.id, uri, how));
    for how in [Matching::Strict, Matching::Loose] {
        if let Some(server) = first(&templates, |list| has_template(list, how)) {
            return Ok(server);
        }
    }
    let withheld = match withheld(hub, ask, Kind::Resources, uri, |list| list.has(uri)).await {
        None => withheld(hub, ask, Kind::Templates, uri, |list| has_template(list, Matching::Strict)).await,
        found => found,
    };
    if let Some(server) = withheld {
        return Err(Problem::not_granted(&server, Wanted::Resource(uri.to_owned())));
    }
    let has_resources = |server: &ServerName| hub.may_have(server, ask.era, |declared| capabilities::has(declared, "resources"));
    let mut with_resources = servers.into_iter().filter(has_resources);
    match (with_resources.next(), with_resources.next()) {
        (Some(server), None) => Ok(server),
        _ => Err(Problem::resource_not_found(uri, format!("Resource not found{}", unavailable(&resources)))),
    }
}

/// MCP Apps: servers need not list what a tool of theirs names. A server that lists the interface of another one's tool does not get to
/// show it.
async fn by_interface(hub: &Arc<Inner>, ask: &Ask, uri: &str) -> Result<Option<ServerName>, Problem> {
    let lists = hub.lists(hub.allowed_servers(&*ask.allow), Kind::Tools, &ask.asker).await;
    let names_it = |server: &ServerName, list: &List| {
        let mut tools = list.items().iter().filter(|tool| tool.interface.as_deref() == Some(uri));
        tools.any(|tool| may_list(&*ask.allow, server, Kind::Tools, &tool.id))
    };
    let named = lists.iter().filter(|(server, list)| list.as_ref().is_ok_and(|list| names_it(server, list)));
    let mut withheld = None;
    for (server, _) in named {
        match ask.allow.resource(server, uri) {
            Verdict::Allowed => return Ok(Some(server.clone())),
            Verdict::NotGranted => withheld = withheld.or(Some(server)),
            Verdict::Hidden => {}
        }
    }
    match withheld {
        Some(server) => Err(Problem::not_granted(server, Wanted::Resource(uri.to_owned()))),
        None => Ok(None),
    }
}

/// `completion/complete` names a template by its text, or a resource.
pub(crate) async fn by_template(hub: &Arc<Inner>, ask: &Ask, uri: &str) -> Result<ServerName, Problem> {
    let mut servers = hub.allowed_servers(&*ask.allow);
    servers.retain(|server| ask.allow.resource(server, uri).is_allowed());
    let templates = hub.lists(servers, Kind::Templates, &ask.asker).await;
    match first(&templates, |list| list.has(uri)) {
        Some(server) => Ok(server),
        None => match withheld(hub, ask, Kind::Templates, uri, |list| list.has(uri)).await {
            Some(server) => Err(Problem::not_granted(&server, Wanted::Resource(uri.to_owned()))),
            None => by_uri(hub, ask, uri).await,
        },
    }
}

fn first(lists: &Lists, fits: impl Fn(&List) -> bool) -> Option<ServerName> {
    lists.iter().find(|(_, list)| list.as_ref().is_ok_and(|list| fits(list))).map(|(server, _)| server.clone())
}

/// The end of a message that something was not found: perhaps a server that is down has it.
fn unavailable(lists: &Lists) -> String {
    let down: Vec<_> = lists.iter().filter(|(_, list)| list.is_err()).map(|(server, _)| server.as_str()).collect();
    if down.is_empty() { String::new() } else { format!(" (not available now: {})", down.join(", ")) }
}
