//! Where a request goes, and whether its caller may have it sent there: to the one server of its
//! view, under the names that it came with, or to the server that [`super::route`] finds, under the
//! names there. What a list shows, whose a task is and which level a session has set is not decided
//! here.

use std::sync::Arc;

use bytes::Bytes;
use portunus_core::ids::ServerName;

use super::{ask::Ask, context::CallContext, route};
use crate::{
    caller::View,
    lists::guard,
    permission::{check, check_method},
    problem::Problem,
    registry::kind::Kind,
    wire::{self, Payload, Reference, protocol::method},
};

/// A server, and the request as it gets it.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) server: ServerName,
    /// Of a tool or a prompt, as the server calls it.
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
            let read_only =
                kind == Kind::Tools && is_read_only(context, server, ask, &named).await?;
            check(allow, server, kind, &named, read_only)?;
            name = Some(named);
        }
        method::RESOURCES_READ | method::RESOURCES_SUBSCRIBE | method::RESOURCES_UNSUBSCRIBE => {
            check(allow, server, Kind::Resources, uri(ask)?, false)?;
        }
        method::COMPLETION_COMPLETE => check_reference(server, ask)?,
        // A stream of changes belongs to the modern era, whose clients have it from the gateway
        // itself.
        method::SUBSCRIPTIONS_LISTEN => return Err(Problem::method_not_found(&ask.method)),
        method => check_method(allow, server, method)?,
    }
    Ok(Target { server: server.clone(), name, params: ask.params.clone() })
}

/// Does the server say of the tool that it only reads? Looked up where that matters.
pub(crate) async fn is_read_only(
    context: &Arc<CallContext>,
    server: &ServerName,
    ask: &Ask,
    tool: &str,
) -> Result<bool, Problem> {
    if !ask.allow.asks_read_only() {
        return Ok(false);
    }
    let seen = guard::seen(&context.lists, server, &ask.requester).await?;
    Ok(seen.item(tool).is_some_and(|item| item.read_only))
}

/// The server is found, the name there put in, everything else goes on as it came.
async fn among_all(context: &Arc<CallContext>, ask: &Ask) -> Result<Target, Problem> {
    let as_it_came = |server| Target { server, name: None, params: ask.params.clone() };
    match ask.method.as_str() {
        method::TOOLS_CALL | method::PROMPTS_GET => {
            let (Some(name), Some(params)) = (&ask.head()?.name, &ask.params) else {
                return Err(Problem::missing("name"));
            };
            let found = route::by_name(context, ask, kind_of_named(&ask.method), name).await?;
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
                    let found = route::by_name(context, ask, Kind::Prompts, name).await?;
                    let own = Payload::trusted(Bytes::from(wire::quote(&found.name)));
                    let params = wire::replace_member(params, &["ref", "name"], &own)?;
                    Ok(Target { server: found.server, name: None, params: Some(params) })
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

/// Whatever the reference names must be allowed, both if it names two things.
fn check_reference(server: &ServerName, ask: &Ask) -> Result<(), Problem> {
    let Reference { name, uri, .. } = ask.head()?.reference.clone().unwrap_or_default();
    if name.is_none() && uri.is_none() {
        return check_method(&*ask.allow, server, &ask.method);
    }
    name.map_or(Ok(()), |name| check(&*ask.allow, server, Kind::Prompts, &name, false))?;
    uri.map_or(Ok(()), |uri| check(&*ask.allow, server, Kind::Templates, &uri, false))
}
