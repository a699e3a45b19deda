//! `/mcp/{server}`: one server, as if there were no gateway between. Every method passes, known to us or not, with the bytes it
//! came with; what policy speaks of is checked first, and lists lose what may not be used.

use std::sync::Arc;

use portunus_core::ids::ServerName;

use super::{
    Inner,
    ask::{Ask, Subscription},
    connect::{key, wanted_level},
    reply::{Problem, Reply, done},
};
use crate::{
    aggregate::{kind::Kind, list, quarantine, tasks},
    allow::{Allow, Verdict},
    answer::Wanted,
    era::Era,
    header_params,
    upstream::Owner,
    wire::{self, Outcome, Reference, code},
};

pub(crate) async fn request(hub: &Arc<Inner>, server: &ServerName, ask: &Ask) -> Reply {
    if let Some(kind) = Kind::of_method(&ask.method) {
        return listing(hub, server, ask, kind).await;
    }
    guard(server, ask)?;
    match ask.method.as_str() {
        "tools/call" => {
            let name = ask.head()?.name.ok_or_else(|| Problem::missing("name"))?;
            quarantine::guard(hub, server, &ask.asker, &name).await?;
        }
        "resources/subscribe" | "resources/unsubscribe" => {
            let uri = ask.head()?.uri.ok_or_else(|| Problem::missing("uri"))?;
            let is_begun = ask.method == "resources/subscribe";
            let way = if is_begun { Subscription::Begin } else { Subscription::End };
            return hub.subscribe(server, ask, &uri, way).await;
        }
        "logging/setLevel" => return set_level(hub, server, ask).await,
        method if method.starts_with(TASKS) => return tasks::request_one(hub, server, ask).await,
        _ => {}
    }
    ask.forward(hub, server, ask.params.clone()).await
}

/// Whatever is about tasks is about somebody's tasks.
const TASKS: &str = "tasks/";

/// May the caller have this at all? What a list shows is filtered, and whose a task is, asked later.
pub(crate) fn guard(server: &ServerName, ask: &Ask) -> Result<(), Problem> {
    let allow = &*ask.allow;
    if Kind::of_method(&ask.method).is_some() {
        return Ok(());
    }
    match ask.method.as_str() {
        "tools/call" => {
            let name = ask.head()?.name.ok_or_else(|| Problem::missing("name"))?;
            check(allow, server, Kind::Tools, &name)
        }
        "prompts/get" => {
            let name = ask.head()?.name.ok_or_else(|| Problem::missing("name"))?;
            check(allow, server, Kind::Prompts, &name)
        }
        "resources/read" | "resources/subscribe" | "resources/unsubscribe" => {
            let uri = ask.head()?.uri.ok_or_else(|| Problem::missing("uri"))?;
            check(allow, server, Kind::Resources, &uri)
        }
        "completion/complete" => check_reference(server, ask),
        "logging/setLevel" => Ok(()),
        // A stream of changes belongs to the modern era, whose clients have it from the gateway itself.
        "subscriptions/listen" => Err(Problem::method_not_found(&ask.method)),
        method if method.starts_with(TASKS) => Ok(()),
        method => check_method(allow, server, method),
    }
}

/// May the caller use anything of this server?
pub(crate) fn check_server(allow: &dyn Allow, server: &ServerName) -> Result<(), Problem> {
    match allow.server(server) {
        Verdict::Allowed => Ok(()),
        Verdict::NotGranted => Err(Problem::not_granted(server, Wanted::Server)),
        Verdict::Hidden => Err(Problem::invalid_params("there is no such server")),
    }
}

/// May this be called, or read?
pub(crate) fn check(allow: &dyn Allow, server: &ServerName, kind: Kind, id: &str) -> Result<(), Problem> {
    match (verdict(allow, server, kind, id), kind) {
        (Verdict::Allowed, _) => Ok(()),
        (Verdict::NotGranted, _) => Err(Problem::not_granted(server, wanted(kind, id))),
        (Verdict::Hidden, Kind::Tools | Kind::Prompts) => Err(unknown(kind, id)),
        (Verdict::Hidden, Kind::Resources | Kind::Templates) => Err(Problem::resource_not_found(id, "Resource not found")),
    }
}

/// May a method be used that is about no tool, prompt or resource that we could see?
pub(crate) fn check_method(allow: &dyn Allow, server: &ServerName, method: &str) -> Result<(), Problem> {
    match allow.method(server, method) {
        Verdict::Allowed => Ok(()),
        Verdict::NotGranted => Err(Problem::not_granted(server, Wanted::Server)),
        Verdict::Hidden => Err(Problem::method_not_found(method)),
    }
}

fn wanted(kind: Kind, id: &str) -> Wanted {
    match kind {
        Kind::Tools => Wanted::Tool(id.to_owned()),
        Kind::Prompts => Wanted::Prompt(id.to_owned()),
        Kind::Resources | Kind::Templates => Wanted::Resource(id.to_owned()),
    }
}

/// What is not allowed is not there.
pub(crate) fn unknown(kind: Kind, name: &str) -> Problem {
    Problem::invalid_params(format!("Unknown {}: {name}", kind.word()))
}

pub(crate) fn may_list(allow: &dyn Allow, server: &ServerName, kind: Kind, id: &str) -> bool {
    verdict(allow, server, kind, id).is_allowed()
}

pub(crate) fn verdict(allow: &dyn Allow, server: &ServerName, kind: Kind, id: &str) -> Verdict {
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
            let is_sound = |id: &str, raw: &wire::Payload| kind != Kind::Tools || is_mirrored_soundly(hub, ask, server, id, raw);
            let keep = |id: &str, raw: &wire::Payload| may_list(&*ask.allow, server, kind, id) && is_sound(id, raw);
            let sifted = quarantine::sift(hub, server, kind, &ask.asker, result).await;
            let kept = sifted.and_then(|result| list::filtered(kind, &result, keep));
            let kept = kept.map_err(|error| {
                tracing::warn!(%server, list = kind.method(), %error, "a list could not be read");
                Problem::refused(code::INTERNAL_ERROR, format!("server {:?}: the list cannot be read", server.as_str()))
            })?;
            Ok(Outcome::Result(kept))
        }
        error @ Outcome::Error(_) => Ok(error),
    }
}

/// A tool with unsound `x-mcp-header` annotations is not offered to clients that would have to follow them, nor taken from a server that
/// would (MCP 2026-07-28, Streamable HTTP, "Custom Headers from Tool Parameters").
pub(crate) fn is_mirrored_soundly(hub: &Inner, ask: &Ask, server: &ServerName, tool: &str, raw: &wire::Payload) -> bool {
    let profile = hub.registry.find(server).and_then(|entry| entry.profile(ask.era)).map(|info| info.era);
    if ask.era == Era::Legacy && profile != Some(Era::Modern) {
        return true;
    }
    match header_params::of_tool(raw) {
        Ok(_) => true,
        Err(error) => {
            tracing::warn!(%server, tool, %error, "a tool is left out");
            false
        }
    }
}

/// Whatever the reference names must be allowed, both if it names two things.
fn check_reference(server: &ServerName, ask: &Ask) -> Result<(), Problem> {
    let Reference { name, uri, .. } = ask.head()?.reference.unwrap_or_default();
    if name.is_none() && uri.is_none() {
        return check_method(&*ask.allow, server, &ask.method);
    }
    name.map_or(Ok(()), |name| check(&*ask.allow, server, Kind::Prompts, &name))?;
    uri.map_or(Ok(()), |uri| check(&*ask.allow, server, Kind::Templates, &uri))
}

/// Each session has a level of its own; the server hears the lowest one of those that share the connection.
async fn set_level(hub: &Arc<Inner>, server: &ServerName, ask: &Ask) -> Reply {
    let level = ask.note_level()?;
    let spec = hub.spec(server).ok_or_else(|| Problem::method_not_found(&ask.method))?;
    let key = key(&spec, ask.session()?);
    if key.owner == Owner::Everybody {
        return Ok(done());
    }
    let peer = hub.connect(server, &ask.asker).await.map_err(|error| Problem::server(server, error))?;
    if peer.info().era == Era::Modern {
        // It is told with each request.
        return Ok(done());
    }
    let lowest = wanted_level(&key, &hub.concerned(&key)).unwrap_or(level);
    let params = match &ask.params {
        Some(params) if lowest != level => {
            let lowest = wire::Payload::trusted(wire::quote(lowest.as_str()).into());
            Some(wire::replace_member(params, &["level"], &lowest)?)
        }
        other => other.clone(),
    };
    ask.forward(hub, server, params).await
}
