//! `/mcp/{server}`: one server, as if there were no gateway between. Every method passes, known to us or not, with the bytes it
//! came with; what policy speaks of is checked first, and lists lose what may not be used.

use std::sync::Arc;

use portunus_core::ids::ServerName;

use super::{
    Inner,
    ask::{Ask, Subscription},
    connect::owner,
    reply::{Problem, Reply, done},
};
use crate::{
    aggregate::{kind::Kind, list},
    allow::Allow,
    upstream::Owner,
    wire::{self, Outcome, Reference, code},
};

pub(crate) async fn request(hub: &Arc<Inner>, server: &ServerName, ask: &Ask) -> Reply {
    if let Some(kind) = Kind::of_method(&ask.method) {
        return listing(hub, server, ask, kind).await;
    }
    let allow = &*ask.allow;
    match ask.method.as_str() {
        "tools/call" => {
            let name = ask.head()?.name.ok_or_else(|| Problem::missing("name"))?;
            if !allow.tool(server, &name) {
                return Err(unknown(Kind::Tools, &name));
            }
        }
        "prompts/get" => {
            let name = ask.head()?.name.ok_or_else(|| Problem::missing("name"))?;
            if !allow.prompt(server, &name) {
                return Err(unknown(Kind::Prompts, &name));
            }
        }
        "resources/read" | "resources/subscribe" | "resources/unsubscribe" => return resource(hub, server, ask).await,
        "completion/complete" => check_reference(server, allow, ask.head()?.reference.as_ref())?,
        "logging/setLevel" => return set_level(hub, server, ask).await,
        _ => {}
    }
    ask.forward(hub, server, ask.params.clone()).await
}

/// What is not allowed is not there.
pub(crate) fn unknown(kind: Kind, name: &str) -> Problem {
    Problem::invalid_params(format!("Unknown {}: {name}", kind.word()))
}

pub(crate) fn may_list(allow: &dyn Allow, server: &ServerName, kind: Kind, id: &str) -> bool {
    match kind {
        Kind::Tools => allow.tool(server, id),
        Kind::Prompts => allow.prompt(server, id),
        // A template is judged by its text: a rule on a prefix of URIs holds for the templates with that prefix.
        Kind::Resources | Kind::Templates => allow.resource(server, id),
    }
}

async fn listing(hub: &Arc<Inner>, server: &ServerName, ask: &Ask, kind: Kind) -> Reply {
    match ask.forward(hub, server, ask.params.clone()).await? {
        Outcome::Result(result) => {
            let kept = list::filtered(kind, &result, |id| may_list(&*ask.allow, server, kind, id)).map_err(|error| {
                tracing::warn!(%server, list = kind.method(), %error, "a list could not be read");
                Problem::refused(code::INTERNAL_ERROR, format!("server {:?}: the list cannot be read", server.as_str()))
            })?;
            Ok(Outcome::Result(kept))
        }
        error @ Outcome::Error(_) => Ok(error),
    }
}

async fn resource(hub: &Arc<Inner>, server: &ServerName, ask: &Ask) -> Reply {
    let uri = ask.head()?.uri.ok_or_else(|| Problem::missing("uri"))?;
    if !ask.allow.resource(server, &uri) {
        return Err(Problem::resource_not_found(&uri, "Resource not found"));
    }
    match ask.method.as_str() {
        "resources/subscribe" => hub.subscribe(server, ask, &uri, Subscription::Begin).await,
        "resources/unsubscribe" => hub.subscribe(server, ask, &uri, Subscription::End).await,
        _ => ask.forward(hub, server, ask.params.clone()).await,
    }
}

fn check_reference(server: &ServerName, allow: &dyn Allow, reference: Option<&Reference>) -> Result<(), Problem> {
    let Some(reference) = reference else { return Ok(()) };
    match (&reference.name, &reference.uri) {
        (Some(name), _) if !allow.prompt(server, name) => Err(unknown(Kind::Prompts, name)),
        (_, Some(uri)) if !allow.resource(server, uri) => Err(Problem::resource_not_found(uri, "Resource not found")),
        _ => Ok(()),
    }
}

/// Each session has a level of its own; the server hears the lowest one of those that share the connection.
async fn set_level(hub: &Arc<Inner>, server: &ServerName, ask: &Ask) -> Reply {
    let level = ask.note_level()?;
    let spec = hub.spec(server).ok_or_else(|| Problem::method_not_found(&ask.method))?;
    let owner = owner(spec, &ask.session);
    if owner == Owner::Everybody {
        return Ok(done());
    }
    let key = crate::upstream::ConnectionKey { server: server.clone(), owner };
    let lowest = hub.concerned(&key).iter().filter_map(|session| session.level()).min().unwrap_or(level);
    let params = match &ask.params {
        Some(params) if lowest != level => {
            let lowest = wire::Payload::trusted(wire::quote(lowest.as_str()).into());
            Some(wire::replace_member(params, &["level"], &lowest)?)
        }
        other => other.clone(),
    };
    ask.forward(hub, server, params).await
}
