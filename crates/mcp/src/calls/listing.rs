//! Lists as a client asks for them: of one server, with what may not be used taken out, or of all
//! servers merged.

use std::sync::Arc;

use portunus_core::ids::ServerName;

use super::{ask::Ask, context::CallContext, forward::forward};
use crate::{
    caller::View,
    era::Era,
    header_params,
    lists::{
        guard,
        merge::{self, Wanted},
    },
    permission::may_list,
    problem::{Problem, Reply},
    registry::{kind::Kind, list},
    wire::{Outcome, code},
};

/// `tools/list` and its kin.
pub(crate) async fn reply(context: &Arc<CallContext>, ask: &Ask, kind: Kind) -> Reply {
    match &ask.view {
        View::One(server) => of_one(context, server, ask, kind).await,
        View::All => {
            let cursor = ask.head()?.cursor.clone();
            let wanted =
                Wanted { allow: &*ask.allow, requester: &ask.requester, era: ask.era, cursor };
            merge::list(&context.lists, wanted, kind).await
        }
    }
}

async fn of_one(context: &Arc<CallContext>, server: &ServerName, ask: &Ask, kind: Kind) -> Reply {
    match forward(context, ask, server, ask.params.clone()).await? {
        Outcome::Result(result) => {
            let is_sound = |item: &list::Item| {
                kind != Kind::Tools || has_sound_header_params(context, ask, server, item)
            };
            let keep =
                |item: &list::Item| may_list(&*ask.allow, server, kind, item) && is_sound(item);
            let sifted = guard::sift(&context.lists, server, kind, &ask.requester, result).await;
            let kept = sifted.and_then(|result| list::filtered(kind, &result, keep));
            let kept = kept.map_err(|error| {
                tracing::warn!(%server, list = kind.method(), %error, "a list could not be read");
                Problem::refused(
                    code::INTERNAL_ERROR,
                    format!("server {:?}: the list cannot be read", server.as_str()),
                )
            })?;
            Ok(Outcome::Result(kept))
        }
        error @ Outcome::Error(_) => Ok(error),
    }
}

/// A tool with unsound `x-mcp-header` annotations is not offered to clients that would have to
/// follow them, nor taken from a server that would (MCP 2026-07-28, Streamable HTTP, "Custom
/// Headers from Tool Parameters").
fn has_sound_header_params(
    context: &CallContext,
    ask: &Ask,
    server: &ServerName,
    item: &list::Item,
) -> bool {
    let profile =
        context.registry.find(server).and_then(|entry| entry.profile(ask.era)).map(|info| info.era);
    if ask.era == Era::Legacy && profile != Some(Era::Modern) {
        return true;
    }
    match header_params::of_tool(&item.raw) {
        Ok(_) => true,
        Err(error) => {
            tracing::warn!(%server, tool = &*item.id, %error, "a tool is left out");
            false
        }
    }
}
