//! One session with a server, and what all its sessions share. What the server answers is in
//! [`super::handler`].
#![expect(deprecated, reason = "legacy servers offer logging this way")]

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use rmcp::{RoleServer, model::LoggingLevel, service::RequestContext};

use super::{
    era::Era, request::is_modern, sessions::Sessions, subscribers::Subscribers, tasks::Tasks,
};

/// What all sessions and requests of one server have in common: a modern request has no session to
/// remember anything in.
#[derive(Debug, Default)]
pub(super) struct Shared {
    pub(super) subscribers: Subscribers,
    /// Shared once more with what serves over HTTP, which is what fills it.
    pub(super) sessions: Arc<Sessions>,
    pub(super) tasks: Tasks,
    /// There is a tool more, by and by: `test_trigger_tool_change` adds it and takes it away.
    pub(super) has_late_tool: AtomicBool,
    /// The same for a prompt.
    pub(super) has_late_prompt: AtomicBool,
    /// How many calls of `test_slow` were cancelled.
    pub(super) cancelled: AtomicUsize,
}

/// One session of a legacy client, or one request of a modern one.
#[derive(Debug)]
pub struct Conformance {
    pub(super) era: Era,
    pub(super) shared: Arc<Shared>,
    /// What [`Subscribers`] know this session by.
    pub(super) session: u64,
    /// From which level on this session is told what is logged; everything unless it said
    /// otherwise.
    pub(super) log_level: Mutex<LoggingLevel>,
    /// How many listen streams were accepted here and not handed over yet.
    pub(super) opening: AtomicUsize,
}

impl Drop for Conformance {
    /// A stream whose client left while it was opened is never handed over.
    fn drop(&mut self) {
        for _ in 0..self.opening.load(Ordering::SeqCst) {
            self.shared.subscribers.stream_opened();
        }
    }
}

impl Conformance {
    pub(super) fn new(era: Era, shared: Arc<Shared>) -> Self {
        let session = shared.subscribers.next_session();
        Self {
            era,
            shared,
            session,
            log_level: Mutex::new(LoggingLevel::Debug),
            opening: AtomicUsize::new(0),
        }
    }

    /// Whether something logged at `info` is for the client that made this request.
    pub(super) fn logs_info_to(&self, context: &RequestContext<RoleServer>) -> bool {
        let wanted = if is_modern(context) {
            context.meta.log_level()
        } else {
            Some(*self.log_level.lock().unwrap_or_else(PoisonError::into_inner))
        };
        wanted.is_some_and(|level| matches!(level, LoggingLevel::Debug | LoggingLevel::Info))
    }
}
