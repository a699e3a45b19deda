//! What a modern client learns before anything else: `server/discover` (MCP 2026-07-28, discovery).

use std::sync::Arc;

use super::{ask::Ask, context::CallContext, greeting, instructions};
use crate::{
    caller::View,
    implementation,
    problem::{Problem, Reply},
    translate::{self, results},
    wire::{Outcome, protocol::method},
};

pub(crate) async fn reply(context: &Arc<CallContext>, ask: &Ask) -> Reply {
    let (result, server_info) = match &ask.view {
        View::All => {
            greeting::meet(context, &*ask.allow, &ask.requester, ask.era).await;
            (greeting::discovery(context, &*ask.allow).await, implementation::payload())
        }
        View::One(server) => {
            let peer = context
                .connections
                .connect(server, &ask.requester)
                .await
                .map_err(|error| Problem::server(server, error))?;
            let info = instructions::sifted(context, server, peer.info()).await?;
            (translate::greeting::to_discover(&info)?, info.server_info)
        }
    };
    let result = results::to_modern(method::SERVER_DISCOVER, &result, &server_info)?;
    Ok(Outcome::Result(results::made_private(&result)?))
}
