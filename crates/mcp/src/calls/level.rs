//! `logging/setLevel` of legacy clients: each session has a level of its own; the server hears the
//! lowest one of those that share the connection.

use std::sync::Arc;

use portunus_core::ids::ServerName;

use super::{ask::Ask, context::CallContext, forward::forward};
use crate::{
    caller::View,
    connections::levels::wanted_level,
    era::Era,
    permission::check_method,
    problem::{Problem, Reply, done},
    session::{level::Level, requester::key},
    upstream::Owner,
    wire,
};

pub(crate) async fn set(context: &Arc<CallContext>, ask: &Ask) -> Reply {
    let level = read(ask)?;
    ask.session()?.set_level(level);
    match &ask.view {
        View::One(server) => tell_one(context, server, ask, level).await,
        View::All => {
            context.connections.spread_level(ask.session()?, &*ask.allow).await;
            Ok(done())
        }
    }
}

fn read(ask: &Ask) -> Result<Level, Problem> {
    let level = ask.head()?.level.as_deref().ok_or_else(|| Problem::missing("level"))?;
    Level::parse(level).ok_or_else(|| {
        let known = Level::ALL.map(Level::as_str).join(", ");
        Problem::invalid_params(format!("`level` must be one of {known}"))
    })
}

async fn tell_one(
    context: &Arc<CallContext>,
    server: &ServerName,
    ask: &Ask,
    level: Level,
) -> Reply {
    let spec =
        context.registry.spec(server).ok_or_else(|| Problem::method_not_found(&ask.method))?;
    let key = key(&spec, ask.session()?);
    if key.owner == Owner::AllUsers || check_method(&*ask.allow, server, &ask.method).is_err() {
        return Ok(done());
    }
    let peer = context
        .connections
        .connect(server, &ask.requester)
        .await
        .map_err(|error| Problem::server(server, error))?;
    if peer.info().era == Era::Modern {
        // It is told with each request.
        return Ok(done());
    }
    let lowest = wanted_level(&key, &context.connections.delivery.concerned(&key)).unwrap_or(level);
    let params = match &ask.params {
        Some(params) if lowest != level => {
            let lowest = wire::Payload::trusted(wire::quote(lowest.as_str()).into());
            Some(wire::replace_member(params, &["level"], &lowest)?)
        }
        other => other.clone(),
    };
    forward(context, ask, server, params).await
}
