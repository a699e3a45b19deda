//! Telling a server something beside its calls: which log messages are wanted on a connection that
//! several sessions may share, and what they are subscribed to.

use std::{sync::Arc, time::Duration};

use crate::{
    era::Era,
    session::{Session, level::Level},
    upstream::{Call, ConnectionKey, Owner, servers::Peer},
    wire::{self, Payload, capabilities, protocol::method},
};

/// How long telling a server of a level or a subscription may take.
const ASIDE: Duration = Duration::from_secs(10);

/// The level to set on a connection that these sessions share: the most talkative that one of them
/// wants; `None` while none is set. Beside one that has, a session that has none hears what
/// the server says by itself, which may be all of it. What a shared connection says cannot be told
/// apart by user, so no session hears it and none sets its level (threat 37).
pub(crate) fn wanted_level(key: &ConnectionKey, sessions: &[Arc<Session>]) -> Option<Level> {
    if key.owner == Owner::AllUsers {
        return None;
    }
    let handshakes = || sessions.iter().filter(|session| session.can_be_asked());
    let lowest = handshakes().filter_map(|session| session.level()).min()?;
    let is_anybodys_choice = handshakes().all(|session| session.level().is_some());
    Some(if is_anybodys_choice { lowest } else { Level::Debug })
}

pub(crate) async fn tell_level(peer: &Arc<dyn Peer>, level: Level) {
    // A modern server is told with each request.
    if peer.info().era == Era::Legacy && capabilities::has(&peer.info().capabilities, "logging") {
        let params = wire::object(&[("level", &wire::quote(level.as_str()))]);
        aside(peer, method::LOGGING_SET_LEVEL, params).await;
    }
}

pub(crate) async fn tell_uri(peer: &Arc<dyn Peer>, method: &str, uri: &str) {
    aside(peer, method, wire::object(&[("uri", &wire::quote(uri))])).await;
}

/// A request whose answer matters to the log alone.
async fn aside(peer: &Arc<dyn Peer>, method: &str, params: Payload) {
    let call = Call { timeout: Some(ASIDE), ..Call::default() };
    if let Err(error) = peer.request(method, Some(params), call).await {
        tracing::debug!(server = %peer.key().server, method, %error, "a server was not told");
    }
}
