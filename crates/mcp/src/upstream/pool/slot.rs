//! The place of one connection in the pool and what may be in it. Whoever holds the lock of a slot decides alone, so that one
//! connection is started at a time.

use std::{sync::Arc, time::Duration};

use tokio::{sync::Mutex, time::Instant};

use super::options::Options;
use crate::upstream::{connection::Connection, error::UpstreamError};

/// A connection that lived for so many shortest pauses was a working one.
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
    /// It failed and is left alone for a while.
    Failed {
        until: Instant,
        detail: String,
    },
    /// No longer in the pool: look there again.
    Gone,
}

/// What is to be done for somebody who wants a connection.
pub(super) enum Next {
    Use(Arc<Connection>),
    Start,
    LookAgain,
}

impl SlotState {
    /// Sorts out what is here.
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
                Some(retry_in) if !retry_in.is_zero() => Err(UpstreamError::Backoff { retry_in, detail: detail.clone() }),
                _ => Ok(Next::Start),
            },
            Phase::Gone => Ok(Next::LookAgain),
            _ => Ok(Next::Start),
        }
    }

    /// Takes out a connection on which nothing is certain any more, once nothing is under way on it: the next caller gets a new one.
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

    /// A connection ended by itself. Neither a forgotten session nor an accident after good service makes the next caller wait;
    /// what fails soon after its start is left alone for a while.
    pub(super) fn note_end(&mut self, connection: &Connection, lived: Duration, options: &Options) {
        match connection.close_reason() {
            Some(UpstreamError::SessionExpired) => self.phase = Phase::Empty,
            _ if connection.has_ended_well() => self.phase = Phase::Empty,
            reason => {
                if lived >= options.backoff_min * STABLE {
                    // It served for a while: this is an accident, and the next caller should not notice it.
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

    /// Takes the connection out; the slot must then leave the pool.
    pub(super) fn vacate(&mut self) -> Option<Arc<Connection>> {
        match std::mem::replace(&mut self.phase, Phase::Gone) {
            Phase::Live { connection, .. } => Some(connection),
            _ => None,
        }
    }

    /// Nothing here is worth keeping. (What failed is remembered a while longer than its pause, to go on backing off.)
    pub(super) fn is_stale(&self, options: &Options) -> bool {
        match &self.phase {
            Phase::Empty | Phase::Gone => true,
            Phase::Live { .. } => false,
            Phase::Failed { until, .. } => until.elapsed() > options.backoff_max,
        }
    }
}
