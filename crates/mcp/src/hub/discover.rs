//! What a modern client learns before anything else: `server/discover` (MCP 2026-07-28, discovery).

use std::sync::Arc;

use super::{
    Inner, View,
    ask::Ask,
    reply::{Problem, Reply},
};
use crate::{
    aggregate,
    translate::{greeting, results},
    wire::Outcome,
};

pub(crate) async fn reply(hub: &Arc<Inner>, ask: &Ask) -> Reply {
    let (result, server_info) = match &ask.view {
        View::All => {
            aggregate::initialize::meet(hub, &*ask.allow, &ask.asker, ask.era).await;
            (aggregate::initialize::discovery(hub, &*ask.allow), aggregate::initialize::server_info())
        }
        View::One(server) => {
            let peer = hub.connect(server, &ask.asker).await.map_err(|error| Problem::server(server, error))?;
            let info = peer.info();
            (greeting::to_discover(info)?, info.server_info.clone())
        }
    };
    let result = results::to_modern("server/discover", &result, &server_info)?;
    Ok(Outcome::Result(results::made_private(&result)?))
}
