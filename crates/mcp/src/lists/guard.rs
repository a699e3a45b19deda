//! Tools in quarantine, where they pass by: in a list on its way from one server to its client
//! ([`sift`]), and before a call ([`guard`]).

use std::sync::Arc;

use portunus_core::ids::ServerName;

use super::{find::Lists, quarantine::is_held};
use crate::{
    problem::Problem,
    registry::{
        kind::Kind,
        list::{self, List},
    },
    session::requester::Requester,
    upstream::{ConnectionKey, UpstreamError},
    wire::{self, Payload, WireError},
};

/// Of the codes that MCP leaves to implementations.
const IN_QUARANTINE: i64 = -32011;

/// The result of a list on its way from one server to its client. Each tool is judged by itself,
/// for two of one name need not be the same tool. The very same bytes when all of them pass.
pub(crate) async fn sift(
    lists: &Lists,
    server: &ServerName,
    kind: Kind,
    requester: &Requester,
    result: Payload,
) -> Result<Payload, WireError> {
    let listed = wire::members(&result)?.into_iter().find(|(key, _)| key == kind.member());
    let (Kind::Tools, Some((_, listed))) = (kind, listed) else { return Ok(result) };
    let tools = wire::elements(&listed)?;
    let trust = lists.settings.pins.judge(server, &tools).await;
    let passed = tools
        .iter()
        .enumerate()
        .filter(|(n, _)| !is_held(&trust, *n))
        .map(|(_, raw)| raw.as_bytes());
    if passed.clone().count() == tools.len() {
        return Ok(result);
    }
    // What is kept of the list is older than what was just seen, and calls are refused by what is
    // kept.
    if let Some(spec) = lists.connections.registry.spec(server) {
        lists
            .connections
            .registry
            .mark_changed(&ConnectionKey::of(&spec, requester.connection_user()), kind);
    }
    wire::replace_member(&result, &[kind.member()], &list::array(passed))
}

/// May this tool be called? By the list as it was last seen, which is fetched if it never was: a
/// client that knows the tool from elsewhere need not have listed it here. What no list has is the
/// server's to refuse.
pub(crate) async fn guard(
    lists: &Arc<Lists>,
    server: &ServerName,
    requester: &Requester,
    name: &str,
) -> Result<(), Problem> {
    if !lists.settings.pins.holds(server) {
        return Ok(());
    }
    let seen = seen(lists, server, requester).await?;
    if seen.held().iter().any(|item| &*item.id == name) {
        tracing::info!(%server, tool = name.escape_debug().to_string(), "a call of a tool in quarantine is refused");
        let text = format!(
            "the tool {name} of the server {server} has changed: an administrator must approve it before it can be used"
        );
        return Err(Problem::refused(IN_QUARANTINE, text));
    }
    Ok(())
}

/// The server's tools as they were last seen, fetched if they never were.
pub(crate) async fn seen(
    lists: &Arc<Lists>,
    server: &ServerName,
    requester: &Requester,
) -> Result<Arc<List>, Problem> {
    let seen = match lists.of_server(server, Kind::Tools, requester).await {
        // Perhaps it only starts slowly, for which calls have more patience than lists.
        Err(UpstreamError::Timeout) => match lists.connections.connect(server, requester).await {
            Ok(_) => lists.of_server(server, Kind::Tools, requester).await,
            Err(error) => Err(error),
        },
        seen => seen,
    };
    seen.map_err(|error| Problem::server(server, error))
}
