//! On whose behalf a server is asked, and which connection to it that is.

use std::sync::Arc;

use portunus_core::ids::{ClientId, UserId};

use super::state::Session;
use crate::{
    caller::Caller,
    client_capabilities::ClientCapabilities,
    era::Era,
    spec::ServerSpec,
    upstream::{CallOrigin, ConnectionKey, ConnectionUser},
};

/// On whose behalf a server is asked: a session's, one modern request's, or (for `GET /tools`) that
/// of a person at their browser.
#[derive(Clone, Debug)]
pub(crate) struct Requester {
    connection_user: ConnectionUser,
    session: Option<Arc<Session>>,
}

impl Requester {
    pub(crate) fn session(session: &Arc<Session>) -> Self {
        let connection_user = ConnectionUser {
            user: session.user.clone(),
            client: session.client.clone(),
            session: session.name_for_connections(),
            client_capabilities: session.client_capabilities.clone(),
            person: session.person.clone(),
            lane: 0,
            era: session.era(),
        };
        Self { connection_user, session: Some(Arc::clone(session)) }
    }

    /// A person at their browser, who sees what most of their applications see.
    pub(crate) fn at_browser(caller: &Caller) -> Self {
        let Self { connection_user, session } = Self::alone(caller, ClientCapabilities::default());
        Self { connection_user: ConnectionUser { era: Era::Legacy, ..connection_user }, session }
    }

    /// A modern client has no session.
    pub(crate) fn alone(caller: &Caller, client_capabilities: ClientCapabilities) -> Self {
        let principal = &caller.principal;
        let (user, client) = (principal.user.clone(), principal.client.clone());
        let connection_user = ConnectionUser {
            user,
            client,
            session: None,
            client_capabilities,
            person: caller.person(),
            lane: 0,
            era: Era::Modern,
        };
        Self { connection_user, session: None }
    }

    /// The same, on another of the client's connections.
    pub(crate) fn on_lane(&self, lane: u8) -> Self {
        Self {
            connection_user: ConnectionUser { lane, ..self.connection_user.clone() },
            session: self.session.clone(),
        }
    }

    /// Who speaks in a call on its behalf.
    pub(crate) fn call_origin(&self) -> CallOrigin {
        match &self.connection_user.session {
            Some(session) => CallOrigin::Session(session.as_str().into()),
            None => CallOrigin::Request,
        }
    }

    pub(crate) fn client(&self) -> &ClientId {
        &self.connection_user.client
    }

    pub(crate) fn user(&self) -> &UserId {
        &self.connection_user.user
    }

    pub(crate) fn client_capabilities(&self) -> &ClientCapabilities {
        &self.connection_user.client_capabilities
    }

    /// The session of a legacy client, or of a stream of changes.
    pub(crate) fn of_session(&self) -> Option<&Arc<Session>> {
        self.session.as_ref()
    }

    pub(crate) fn is(&self, session: &Session) -> bool {
        self.session.as_ref().is_some_and(|own| own.id == session.id)
    }

    pub(crate) fn connection_user(&self) -> &ConnectionUser {
        &self.connection_user
    }
}

/// Which connection to `spec` the session uses.
pub(crate) fn key(spec: &ServerSpec, session: &Arc<Session>) -> ConnectionKey {
    ConnectionKey::of(spec, Requester::session(session).connection_user())
}
