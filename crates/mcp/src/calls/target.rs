//! Where a request goes, and whether its caller may have it sent there: to the one server of its
//! view, under the names that it came with, or to the server that [`super::route`] finds, under the
//! names there. What a list shows, whose a task is and which level a session has set is not decided
//! here.

use std::sync::Arc;

use bytes::Bytes;
use portunus_core::{access::ToolHints, ids::ServerName};

use super::{ask::Ask, context::CallContext, route};
use crate::{
    allow::{CalledWith, Verdict},
    caller::View,
    lists::guard,
    permission::{check, check_method, unknown, verdict},
    problem::Problem,
    registry::kind::Kind,
    wire::{
        self, Payload, Reference,
        protocol::{member, method},
    },
};

/// A server, and the request as it gets it.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) server: ServerName,
    /// Of a tool or a prompt, as the server calls it; of a completion, the prompt that it is of.
    pub(crate) name: Option<String>,
    pub(crate) params: Option<Payload>,
}

/// Finds the target of any request but those about lists, tasks and levels.
pub(crate) async fn find(context: &Arc<CallContext>, ask: &Ask) -> Result<Target, Problem> {
    match &ask.view {
        View::One(server) => at_one(context, server, ask).await,
        View::All => Box::pin(among_all(context, ask)).await,
    }
}

/// Every method passes, known or not, with the bytes that it came with.
async fn at_one(
    context: &Arc<CallContext>,
    server: &ServerName,
    ask: &Ask,
) -> Result<Target, Problem> {
    let allow = &*ask.allow;
    let mut name = None;
    match ask.method.as_str() {
        method::TOOLS_CALL | method::PROMPTS_GET => {
            let named = ask.head()?.name.clone().ok_or_else(|| Problem::missing("name"))?;
            let kind = kind_of_named(&ask.method);
            let arguments = arguments(ask);
            let with = called_with(ask, arguments.as_ref());
            check_named(context, server, ask, kind, &named, with).await?;
            name = Some(named);
        }
        method::RESOURCES_READ | method::RESOURCES_SUBSCRIBE | method::RESOURCES_UNSUBSCRIBE => {
            let hints = ToolHints::default();
            check(allow, server, Kind::Resources, uri(ask)?, hints, CalledWith::Any)?;
        }
        method::COMPLETION_COMPLETE => name = check_reference(context, server, ask).await?,
        // A stream of changes belongs to the modern era, whose clients have it from the gateway
        // itself.
        method::SUBSCRIPTIONS_LISTEN => return Err(Problem::method_not_found(&ask.method)),
        method if method::is_misspelt(method) => return Err(Problem::method_not_found(method)),
        method => check_method(allow, server, method)?,
    }
    Ok(Target { server: server.clone(), name, params: ask.params.clone() })
}

/// What the call is called with, where that matters: the very bytes that go on to the server.
pub(crate) fn arguments(ask: &Ask) -> Option<Payload> {
    if ask.is_kept || !ask.allow.asks_arguments() {
        return None;
    }
    wire::find_member(ask.params.as_ref()?, &[member::ARGUMENTS])
}

fn called_with<'a>(ask: &Ask, arguments: Option<&'a Payload>) -> CalledWith<'a> {
    if ask.is_kept { CalledWith::Any } else { CalledWith::These(arguments) }
}

/// May the caller have this tool or prompt? Where there are rules, what the server does not list is
/// not there, as on `/mcp`: a server that takes `Delete_Repo` for `delete_repo` would do what a
/// rule denies.
async fn check_named(
    context: &Arc<CallContext>,
    server: &ServerName,
    ask: &Ask,
    kind: Kind,
    name: &str,
    with: CalledWith<'_>,
) -> Result<(), Problem> {
    let allow = &*ask.allow;
    if !allow.asks_listed(server) {
        let hints = match kind {
            Kind::Tools => hints(context, server, ask, name).await?,
            _ => ToolHints::default(),
        };
        return check(allow, server, kind, name, hints, with);
    }
    // What may not be had in any case is not looked up.
    let could_be = |hints| {
        let verdict = verdict(allow, server, kind, name, hints, CalledWith::Any);
        matches!(verdict, Verdict::Allowed | Verdict::Unmet(_))
    };
    let is_possible = if allow.asks_hints() {
        ToolHints::every().any(could_be)
    } else {
        could_be(ToolHints::default())
    };
    if !is_possible {
        return check(allow, server, kind, name, ToolHints::default(), with);
    }
    let requester = &ask.requester;
    match guard::find_listed(&context.lists, server, kind, requester, name).await? {
        Some(hints) => check(allow, server, kind, name, hints, with),
        None => Err(unknown(kind, name)),
    }
}

/// What the server says of the tool. Looked up where that matters.
pub(crate) async fn hints(
    context: &Arc<CallContext>,
    server: &ServerName,
    ask: &Ask,
    tool: &str,
) -> Result<ToolHints, Problem> {
    if !ask.allow.asks_hints() {
        return Ok(ToolHints::default());
    }
    let seen = guard::seen(&context.lists, server, Kind::Tools, &ask.requester).await?;
    Ok(seen.listed(tool).map_or_else(ToolHints::default, |item| item.hints))
}

/// The server is found, the name there put in, everything else goes on as it came.
async fn among_all(context: &Arc<CallContext>, ask: &Ask) -> Result<Target, Problem> {
    let as_it_came = |server| Target { server, name: None, params: ask.params.clone() };
    match ask.method.as_str() {
        method::TOOLS_CALL | method::PROMPTS_GET => {
            let (Some(name), Some(params)) = (&ask.head()?.name, &ask.params) else {
                return Err(Problem::missing("name"));
            };
            let arguments = arguments(ask);
            let with = called_with(ask, arguments.as_ref());
            let found =
                route::by_name(context, ask, kind_of_named(&ask.method), name, with).await?;
            let params = wire::replace_name(params, &found.name)?;
            Ok(Target { server: found.server, name: Some(found.name), params: Some(params) })
        }
        method::RESOURCES_READ | method::RESOURCES_SUBSCRIBE | method::RESOURCES_UNSUBSCRIBE => {
            Ok(as_it_came(route::by_uri(context, ask, uri(ask)?).await?))
        }
        method::COMPLETION_COMPLETE => {
            let (Some(reference), Some(params)) = (&ask.head()?.reference, &ask.params) else {
                return Err(Problem::missing("ref"));
            };
            match (reference.kind.as_deref(), &reference.name, &reference.uri) {
                (Some("ref/prompt"), Some(name), None) => {
                    let found =
                        route::by_name(context, ask, Kind::Prompts, name, CalledWith::Any).await?;
                    let own = Payload::trusted(Bytes::from(wire::quote(&found.name)));
                    let params = wire::replace_member(params, &["ref", "name"], &own)?;
                    Ok(Target {
                        server: found.server,
                        name: Some(found.name),
                        params: Some(params),
                    })
                }
                (Some("ref/resource"), None, Some(uri)) => {
                    Ok(as_it_came(route::by_template(context, ask, uri).await?))
                }
                _ => Err(Problem::invalid_params(
                    "`ref` must be a ref/prompt with a name or a ref/resource with a uri",
                )),
            }
        }
        method => Err(Problem::method_not_found(method)),
    }
}

fn kind_of_named(method: &str) -> Kind {
    if method == method::TOOLS_CALL { Kind::Tools } else { Kind::Prompts }
}

fn uri(ask: &Ask) -> Result<&str, Problem> {
    ask.head()?.uri.as_deref().ok_or_else(|| Problem::missing("uri"))
}

/// Whatever the reference names must be allowed, both if it names two things. Gives the prompt.
async fn check_reference(
    context: &Arc<CallContext>,
    server: &ServerName,
    ask: &Ask,
) -> Result<Option<String>, Problem> {
    let Reference { name, uri, .. } = ask.head()?.reference.clone().unwrap_or_default();
    if name.is_none() && uri.is_none() {
        check_method(&*ask.allow, server, &ask.method)?;
        return Ok(None);
    }
    // A completion is asked for before the arguments are there.
    let with = CalledWith::Any;
    if let Some(name) = &name {
        check_named(context, server, ask, Kind::Prompts, name, with).await?;
    }
    let hints = ToolHints::default();
    uri.map_or(Ok(()), |uri| check(&*ask.allow, server, Kind::Templates, &uri, hints, with))?;
    Ok(name)
}
