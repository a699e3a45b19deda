//! `resources/subscribe` and `resources/unsubscribe`. Sessions that share a connection share its
//! subscriptions: the last one to leave ends them.

use std::sync::Arc;

use portunus_core::ids::ServerName;

use super::{ask::Ask, context::CallContext, forward::forward};
use crate::{
    problem::{LIMIT_REACHED, Problem, Reply, done},
    wire::{Outcome, code, protocol::method},
};

/// Of a subscription, which is kept as long as its session.
const MAX_URI: usize = 8 * 1024;

/// One way of subscribing or the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Subscription {
    Begin,
    End,
}

impl Subscription {
    pub(crate) fn of_method(method: &str) -> Option<Self> {
        match method {
            method::RESOURCES_SUBSCRIBE => Some(Self::Begin),
            method::RESOURCES_UNSUBSCRIBE => Some(Self::End),
            _ => None,
        }
    }
}

/// `resources/subscribe` and `resources/unsubscribe`, once the server is known. Sessions that share
/// a connection share its subscriptions: the last one to leave ends them.
pub(crate) async fn subscribe(
    context: &Arc<CallContext>,
    server: &ServerName,
    ask: &Ask,
    uri: &str,
    subscription: Subscription,
) -> Reply {
    let session = ask.session()?;
    if subscription == Subscription::End {
        session.unsubscribe(server, uri);
        if context.connections.delivery.is_subscribed_elsewhere(server, session, uri) {
            return Ok(done());
        }
        return forward(context, ask, server, ask.params.clone()).await;
    }
    if uri.is_empty() || uri.len() > MAX_URI {
        return Err(Problem::refused(
            code::INVALID_PARAMS,
            "the uri is empty, or too long to be remembered",
        ));
    }
    if session.subscribe(server, uri, context.settings.max_subscriptions).is_err() {
        return Err(Problem::refused(
            LIMIT_REACHED,
            "too many subscriptions in this session: unsubscribe from some",
        ));
    }
    let reply = forward(context, ask, server, ask.params.clone()).await;
    match (
        &reply,
        context
            .registry
            .spec(server)
            .and_then(|spec| context.connections.find_live(&spec, session)),
    ) {
        (Ok(Outcome::Result(_)), Some(peer)) => session.keep_subscribed(server, uri, peer.hold()),
        (Ok(Outcome::Result(_)), None) => {}
        _ => session.unsubscribe(server, uri),
    }
    reply
}
