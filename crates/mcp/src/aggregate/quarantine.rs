//! Tools that are not what they were when people began to trust them (threat 45): held back from lists, their calls refused. Which
//! they are, the port [`crate::pins`] says; here is where it counts: in a list that was fetched ([`sort`]), in one that passes
//! through ([`sift`]), before a call ([`guard`]), and in a list that is kept while somebody approves what it lacks ([`is_lifted`]).
//!
//! A tool that is held keeps its place: its name stays its server's, so that no call of it goes to another one.

use std::sync::Arc;

use portunus_core::ids::ServerName;

use super::{
    kind::Kind,
    list::{self, List},
};
use crate::{
    hub::{Asker, Inner, reply::Problem},
    pins::Trust,
    upstream::{ConnectionKey, UpstreamError},
    wire::{self, Payload, WireError},
};

/// Of the codes that MCP leaves to implementations.
const IN_QUARANTINE: i64 = -32011;

/// A list that was fetched, with what may not be shown taken out of sight.
pub(crate) async fn sort(
    hub: &Inner,
    server: &ServerName,
    kind: Kind,
    fetched: Result<List, UpstreamError>,
) -> Result<List, UpstreamError> {
    let list = fetched?;
    if kind != Kind::Tools {
        return Ok(list);
    }
    let tools: Vec<Payload> = list.items().iter().map(|item| item.raw.clone()).collect();
    let trust = hub.settings.pins.judge(server, &tools).await;
    Ok(list.holding(|n| is_held(&trust, n)))
}

/// Was something that this list lacks approved since?
pub(crate) async fn is_lifted(hub: &Inner, server: &ServerName, list: &List) -> bool {
    let held: Vec<Payload> = list.held().iter().map(|item| item.raw.clone()).collect();
    !held.is_empty() && hub.settings.pins.judge(server, &held).await.contains(&Trust::Pass)
}

/// The result of a list on its way from one server to its client. Each tool is judged by itself, for two of one name need not be
/// the same tool. The very same bytes when all of them pass.
pub(crate) async fn sift(
    hub: &Inner,
    server: &ServerName,
    kind: Kind,
    asker: &Asker,
    result: Payload,
) -> Result<Payload, WireError> {
    let listed = wire::members(&result)?.into_iter().find(|(key, _)| key == kind.member());
    let (Kind::Tools, Some((_, listed))) = (kind, listed) else { return Ok(result) };
    let tools = wire::elements(&listed)?;
    let trust = hub.settings.pins.judge(server, &tools).await;
    let passed = tools.iter().enumerate().filter(|(n, _)| !is_held(&trust, *n)).map(|(_, raw)| raw.as_bytes());
    if passed.clone().count() == tools.len() {
        return Ok(result);
    }
    // What is kept of the list is older than what was just seen, and calls are refused by what is kept.
    if let Some(spec) = hub.spec(server) {
        hub.mark_changed(&ConnectionKey::of(&spec, asker.holder()), kind);
    }
    wire::replace_member(&result, &[kind.member()], &list::array(passed))
}

/// May this tool be called? By the list as it was last seen, which is fetched if it never was: a client that knows the tool
/// from elsewhere need not have listed it here. What no list has is the server's to refuse.
pub(crate) async fn guard(hub: &Arc<Inner>, server: &ServerName, asker: &Asker, name: &str) -> Result<(), Problem> {
    if !hub.settings.pins.holds(server) {
        return Ok(());
    }
    let seen = match hub.list(server, Kind::Tools, asker).await {
        // Perhaps it only starts slowly, for which calls have more patience than lists.
        Err(UpstreamError::Timeout) => match hub.connect(server, asker).await {
            Ok(_) => hub.list(server, Kind::Tools, asker).await,
            Err(error) => Err(error),
        },
        seen => seen,
    };
    let seen = seen.map_err(|error| Problem::server(server, error))?;
    if seen.held().iter().any(|item| &*item.id == name) {
        tracing::info!(%server, tool = name.escape_debug().to_string(), "a call of a tool in quarantine is refused");
        let text =
            format!("the tool {name} of the server {server} has changed: an administrator must approve it before it can be used");
        return Err(Problem::refused(IN_QUARANTINE, text));
    }
    Ok(())
}

/// What was not answered for is held too.
fn is_held(trust: &[Trust], n: usize) -> bool {
    trust.get(n) != Some(&Trust::Pass)
}
