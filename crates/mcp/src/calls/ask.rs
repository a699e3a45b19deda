//! One request of a client on its way, with all that there is to know of it: what it asks, on whose
//! behalf, and what its token allows.

use std::sync::{Arc, OnceLock};

use http::{HeaderMap, HeaderValue};
use portunus_core::ids::ServerName;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::{
    allow::Allow,
    caller::View,
    era::Era,
    limits::RequestLimits,
    observer::CallObserver,
    problem::Problem,
    session::{Session, level::Level, requester::Requester},
    upstream::CallEvent,
    wire::{self, ParamsHead, Payload, WireError},
};

pub(crate) struct Ask {
    pub(crate) requester: Requester,
    pub(crate) view: View,
    pub(crate) allow: Arc<dyn Allow>,
    /// The client's.
    pub(crate) era: Era,
    /// Who speaks, as a modern server is told: of a modern client, its own parameters say it.
    pub(crate) legacy_session: Option<Arc<Session>>,
    pub(crate) method: String,
    pub(crate) params: Option<Payload>,
    /// What the gateway reads of `params`, read once.
    pub(crate) head: Head,
    /// It goes on with an operation whose arguments were judged when they came, and are not among
    /// `params` any more.
    pub(crate) is_kept: bool,
    /// Of a modern client: the parameters that it repeated in headers, and the log messages that it
    /// wants.
    pub(crate) header_params: HeaderMap,
    pub(crate) level: Option<Level>,
    /// Goes along to servers over HTTP.
    pub(crate) request_id: Option<HeaderValue>,
    /// Hears what becomes of it.
    pub(crate) observer: Option<Arc<dyn CallObserver>>,
    /// Counts it.
    pub(crate) limits: Option<Arc<dyn RequestLimits>>,
    pub(crate) call_events: mpsc::Sender<CallEvent>,
    pub(crate) cancel: CancellationToken,
}

/// The head of an ask's parameters, read when it is wanted first.
#[derive(Default)]
pub(crate) struct Head(OnceLock<Result<ParamsHead, WireError>>);

impl Head {
    /// A head that was read before.
    pub(crate) fn of(head: ParamsHead) -> Self {
        Self(OnceLock::from(Ok(head)))
    }
}

impl Ask {
    /// The session of a legacy client: the methods that need one are those of its era.
    pub(crate) fn session(&self) -> Result<&Arc<Session>, Problem> {
        self.legacy_session.as_ref().ok_or_else(|| Problem::method_not_found(&self.method))
    }

    pub(crate) fn head(&self) -> Result<&ParamsHead, Problem> {
        let read = || {
            self.params.as_ref().map(wire::params_head).transpose().map(Option::unwrap_or_default)
        };
        self.head.0.get_or_init(read).as_ref().map_err(|error| error.clone().into())
    }

    /// It goes to this server, and calls this tool there; nowhere if a limit is met.
    pub(crate) fn enter(
        &self,
        server: Option<&ServerName>,
        tool: Option<&str>,
    ) -> Result<(), Problem> {
        let Some(limits) = &self.limits else { return Ok(()) };
        limits.enter(server, tool).map_err(Problem::Limited)
    }

    /// The same, for what concerns no server but that of the view.
    pub(crate) fn enter_view(&self) -> Result<(), Problem> {
        match &self.view {
            View::All => self.enter(None, None),
            View::One(server) => self.enter(Some(server), None),
        }
    }

    /// The same client's, about something else.
    pub(crate) fn instead(&self, method: &str, params: Payload) -> Self {
        Self {
            requester: self.requester.clone(),
            view: self.view.clone(),
            allow: Arc::clone(&self.allow),
            era: self.era,
            legacy_session: self.legacy_session.clone(),
            method: method.to_owned(),
            params: Some(params),
            head: Head::default(),
            is_kept: false,
            header_params: HeaderMap::new(),
            level: self.level,
            request_id: self.request_id.clone(),
            observer: None,
            limits: None,
            call_events: self.call_events.clone(),
            cancel: self.cancel.clone(),
        }
    }
}
