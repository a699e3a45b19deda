//! On whose behalf a server is asked, and which connection to it that is.

use std::sync::Arc;

use portunus_core::ids::{ClientId, UserId};

use super::state::Session;
use crate::{
    caller::Caller,
    client_capabilities::ClientCapabilities,
    era::Era,
    spec::ServerSpec,
    upstream::{ConnectionKey, Holder, Speaker},
};

/// On whose behalf a server is asked: a session's, one modern request's, or (for `GET /tools`) that
/// of a person at their browser.
#[derive(Clone, Debug)]
pub(crate) struct Asker {
    holder: Holder,
    session: Option<Arc<Session>>,
}

impl Asker {
    pub(crate) fn session(session: &Arc<Session>) -> Self {
        let holder = Holder {
            user: session.user.clone(),
            client: session.client.clone(),
            session: session.holder_name(),
            client_capabilities: session.client_capabilities.clone(),
            person: session.person.clone(),
            lane: 0,
            era: session.era(),
        };
        Self { holder, session: Some(Arc::clone(session)) }
    }

    /// A person at their browser, who sees what most of their applications see.
    pub(crate) fn at_browser(caller: &Caller) -> Self {
        let Self { holder, session } = Self::alone(caller, ClientCapabilities::default());
        Self { holder: Holder { era: Era::Legacy, ..holder }, session }
    }

    /// A modern client has no session.
    pub(crate) fn alone(caller: &Caller, client_capabilities: ClientCapabilities) -> Self {
        let principal = &caller.principal;
        let (user, client) = (principal.user.clone(), principal.client.clone());
        let holder = Holder {
            user,
            client,
            session: None,
            client_capabilities,
            person: caller.person(),
            lane: 0,
            era: Era::Modern,
        };
        Self { holder, session: None }
    }

    /// The same, on another of the client's connections.
    pub(crate) fn on_lane(&self, lane: u8) -> Self {
        Self { holder: Holder { lane, ..self.holder.clone() }, session: self.session.clone() }
    }

    /// Who speaks in a call on its behalf.
    pub(crate) fn speaker(&self) -> Speaker {
        match &self.holder.session {
            Some(session) => Speaker::Session(session.as_str().into()),
            None => Speaker::Request,
        }
    }

    pub(crate) fn client(&self) -> &ClientId {
        &self.holder.client
    }

    pub(crate) fn user(&self) -> &UserId {
        &self.holder.user
    }

    pub(crate) fn client_capabilities(&self) -> &ClientCapabilities {
        &self.holder.client_capabilities
    }

    /// The session of a legacy client, or of a stream of changes.
    pub(crate) fn of_session(&self) -> Option<&Arc<Session>> {
        self.session.as_ref()
    }

    pub(crate) fn is(&self, session: &Session) -> bool {
        self.session.as_ref().is_some_and(|own| own.id == session.id)
    }

    pub(crate) fn holder(&self) -> &Holder {
        &self.holder
    }
}

/// Which connection to `spec` the session uses.
pub(crate) fn key(spec: &ServerSpec, session: &Arc<Session>) -> ConnectionKey {
    ConnectionKey::of(spec, Asker::session(session).holder())
}
