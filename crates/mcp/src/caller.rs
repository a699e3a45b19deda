//! Who calls, what they look at and what they may use: one value that goes along with each request.

use std::{fmt, sync::Arc};

use http::HeaderValue;
use portunus_core::{ids::ServerName, principal::Principal};

use crate::{allow::Allow, limits::RequestLimits, observer::CallObserver, upstream::Person};

/// Which servers the endpoint shows.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum View {
    /// `/mcp`: all of them, merged.
    All,
    /// `/mcp/{server}` and `/mcp?server_name=`: one, as if there were no gateway.
    One(ServerName),
}

/// Who calls, what they look at and what they may use: made by the edge for each request.
#[derive(Clone)]
pub struct Caller {
    pub principal: Arc<Principal>,
    pub view: View,
    pub allow: Arc<dyn Allow>,
    /// Of the request, for the logs of HTTP servers (parity B10).
    pub request_id: Option<HeaderValue>,
    /// Hears what became of what is called.
    pub observer: Option<Arc<dyn CallObserver>>,
    /// Counts the request, if any limit is about its caller.
    pub limits: Option<Arc<dyn RequestLimits>>,
}

impl Caller {
    /// The server of the endpoint, if it has one.
    pub(crate) fn server(&self) -> Option<&ServerName> {
        match &self.view {
            View::All => None,
            View::One(server) => Some(server),
        }
    }

    /// Of the person, for the children that are theirs alone.
    pub(crate) fn person(&self) -> Person {
        Person { subject: self.principal.subject.clone(), email: self.principal.email.clone() }
    }
}

impl fmt::Debug for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Caller")
            .field("user", &self.principal.user)
            .field("view", &self.view)
            .finish_non_exhaustive()
    }
}
