//! The slot of one connection in the pool, and its states. A task decides about a slot while it
//! holds the slot's lock, so that one connection is started at a time. Starting and watching are
//! next door, in [`super::lifecycle`].

use std::{sync::Arc, time::Duration};

use tokio::{sync::Mutex, time::Instant};

use super::options::Options;
use crate::upstream::{connection::Connection, error::UpstreamError};

/// A connection that lived for so many of the shortest pauses counts as a working one.
const STABLE: u32 = 10;

pub(super) type Slot = Arc<Mutex<SlotState>>;

#[derive(Default)]
pub(super) struct SlotState {
    pub(super) phase: Phase,
    /// Failures in a row.
    failures: u32,
}

#[derive(Default)]
pub(super) enum Phase {
    #[default]
    Empty,
    Live {
        connection: Arc<Connection>,
        since: Instant,
    },
    /// The server failed and is not started before `until`.
    Failed {
        until: Instant,
        detail: String,
    },
    /// The slot left the pool: the caller looks there again.
    Gone,
}

/// The next step for a caller that wants a connection.
pub(super) enum Next {
    Use(Arc<Connection>),
    Start,
    LookAgain,
}

impl SlotState {
    /// Decides the next step.
    pub(super) fn next(&mut self, options: &Options) -> Result<Next, UpstreamError> {
        if let Phase::Live { connection, since } = &self.phase {
            let (connection, since) = (Arc::clone(connection), *since);
            if !connection.is_closed() {
                connection.touch();
                return Ok(Next::Use(connection));
            }
            self.note_end(&connection, since.elapsed(), options);
        }
        match &self.phase {
            Phase::Failed { until, detail } => match until.checked_duration_since(Instant::now()) {
                Some(retry_in) if !retry_in.is_zero() => {
                    Err(UpstreamError::Backoff { retry_in, detail: detail.clone() })
                }
                _ => Ok(Next::Start),
            },
            Phase::Gone => Ok(Next::LookAgain),
            _ => Ok(Next::Start),
        }
    }

    /// Removes a connection on which messages can no longer be attributed, once no call is under
    /// way on it. The next caller gets a new one.
    pub(super) async fn replace_spent(&mut self) {
        if let Phase::Live { connection, .. } = &self.phase
            && connection.is_spent()
            && !connection.is_closed()
            && connection.end_if_idle().await
        {
            self.phase = Phase::Empty;
        }
    }

    pub(super) fn holds(&self, connection: &Arc<Connection>) -> bool {
        matches!(&self.phase, Phase::Live { connection: held, .. } if Arc::ptr_eq(held, connection))
    }

    /// Notes that a connection ended by itself.
    ///
    /// If it failed soon after its start, the next start waits. A session that the server forgot,
    /// or a failure after long service, does not make the next caller wait.
    pub(super) fn note_end(&mut self, connection: &Connection, lived: Duration, options: &Options) {
        match connection.close_reason() {
            Some(UpstreamError::SessionExpired) => self.phase = Phase::Empty,
            _ if connection.has_ended_well() => self.phase = Phase::Empty,
            reason => {
                if lived >= options.backoff_min * STABLE {
                    // It served for a while: the next caller should not notice the failure.
                    self.failures = 0;
                    self.phase = Phase::Empty;
                    return;
                }
                let detail = reason.and_then(UpstreamError::detail).unwrap_or_default().to_owned();
                self.note_failure(detail, options);
            }
        }
    }

    pub(super) fn note_failure(&mut self, detail: String, options: &Options) {
        let factor = 1_u32.checked_shl(self.failures).unwrap_or(u32::MAX);
        let pause = options.backoff_min.saturating_mul(factor).min(options.backoff_max);
        self.failures = self.failures.saturating_add(1);
        self.phase = Phase::Failed { until: Instant::now() + pause, detail };
    }

    /// Takes the connection out. The caller removes the slot from the pool.
    pub(super) fn vacate(&mut self) -> Option<Arc<Connection>> {
        match std::mem::replace(&mut self.phase, Phase::Gone) {
            Phase::Live { connection, .. } => Some(connection),
            _ => None,
        }
    }

    /// Can the slot be removed? A failure is remembered longer than its pause, so that the backoff
    /// goes on.
    pub(super) fn is_stale(&self, options: &Options) -> bool {
        match &self.phase {
            Phase::Empty | Phase::Gone => true,
            Phase::Live { .. } => false,
            Phase::Failed { until, .. } => until.elapsed() > options.backoff_max,
        }
    }
}
