//! What is in quarantine, where it passes by: in a list on its way from one server to its client
//! ([`sift`]), and before a call ([`guard`]).

use std::sync::Arc;

use portunus_core::{access::ToolHints, ids::ServerName};

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

/// The result of a list on its way from one server to its client. Each item is judged by
/// itself, for two of one name need not be the same. The very same bytes when all of them pass.
pub(crate) async fn sift(
    lists: &Lists,
    server: &ServerName,
    kind: Kind,
    requester: &Requester,
    result: Payload,
) -> Result<Payload, WireError> {
    let listed = wire::members(&result)?.into_iter().find(|(key, _)| key == kind.member());
    let (Some(pinned), Some((_, listed))) = (kind.pinned(), listed) else { return Ok(result) };
    let items = wire::elements(&listed)?;
    let trust = lists.settings.pins.judge(server, pinned, &items).await;
    let passed = items
        .iter()
        .enumerate()
        .filter(|(n, _)| !is_held(&trust, *n))
        .map(|(_, raw)| raw.as_bytes());
    if passed.clone().count() == items.len() {
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

/// May this be called, got or completed? By the list as it was last seen, which is fetched if it
/// never was: a client that knows the tool from elsewhere need not have listed it here. What no
/// list has is the server's to refuse.
pub(crate) async fn guard(
    lists: &Arc<Lists>,
    server: &ServerName,
    kind: Kind,
    requester: &Requester,
    id: &str,
) -> Result<(), Problem> {
    if !lists.settings.pins.holds(server) {
        return Ok(());
    }
    let seen = seen(lists, server, kind, requester).await?;
    if seen.held().iter().any(|item| &*item.id == id) {
        let what = kind.word();
        tracing::info!(%server, kind = what, name = id.escape_debug().to_string(), "what is in quarantine is not used");
        let text = format!(
            "the {what} {id} of the server {server} has changed: an administrator must approve it before it can be used"
        );
        return Err(Problem::refused(IN_QUARANTINE, text));
    }
    Ok(())
}

/// The server's list as it was last seen, fetched if it never was.
pub(crate) async fn seen(
    lists: &Arc<Lists>,
    server: &ServerName,
    kind: Kind,
    requester: &Requester,
) -> Result<Arc<List>, Problem> {
    let seen = match lists.of_server(server, kind, requester).await {
        // Perhaps it only starts slowly, for which calls have more patience than lists.
        Err(UpstreamError::Timeout) => match lists.connections.connect(server, requester).await {
            Ok(_) => lists.of_server(server, kind, requester).await,
            Err(error) => Err(error),
        },
        seen => seen,
    };
    seen.map_err(|error| Problem::server(server, error))
}

/// Does the server list this, and if it is a tool, what does it say of it? `None`: it does not, not
/// even now.
pub(crate) async fn find_listed(
    lists: &Arc<Lists>,
    server: &ServerName,
    kind: Kind,
    requester: &Requester,
    id: &str,
) -> Result<Option<ToolHints>, Problem> {
    let hints = |list: &List| list.listed(id).map(|item| item.hints);
    if let Some(found) = hints(&*seen(lists, server, kind, requester).await?) {
        return Ok(Some(found));
    }
    let anew = lists.of_server_anew(server, kind, requester).await;
    Ok(hints(&*anew.map_err(|error| Problem::server(server, error))?))
}
