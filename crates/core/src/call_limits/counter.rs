//! What one counter of a limit has counted, and whether one more request passes. Which limit a
//! request meets, [`super::rule`] says.

use std::{fmt, time::Duration};

use super::{
    quota::{Level, Moment},
    rule::CallLimit,
};

/// When to come back for one of those that are at work to have ended: a guess.
const PATIENCE: Duration = Duration::from_secs(1);

/// What was counted. One that has counted nothing lately is as good as a new one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counter {
    requests: Level,
    bytes: Level,
    at_work: u32,
}

/// What there was too much of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exceeded {
    Requests,
    Concurrent,
    Bytes,
}

/// Why a request does not pass, and when it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub exceeded: Exceeded,
    pub retry_after: Duration,
}

impl Counter {
    /// May one more request pass? Of two reasons against it, the one that lasts longer is told.
    pub fn decide(&self, limit: &CallLimit, now: Moment) -> Result<(), Refusal> {
        let requests = limit.requests.and_then(|quota| self.requests.wait_for_one(quota, now));
        let bytes = limit.bytes.and_then(|quota| self.bytes.wait_for_any(quota, now));
        let refusals = [(Exceeded::Requests, requests), (Exceeded::Bytes, bytes)];
        let longest = refusals
            .into_iter()
            .filter_map(|(exceeded, wait)| Some(Refusal { exceeded, retry_after: wait? }))
            .max_by_key(|refusal| refusal.retry_after);
        longest.map_or(Ok(()), Err)
    }

    /// Counts a request that passes.
    pub fn count(&mut self, limit: &CallLimit, now: Moment) {
        if let Some(quota) = limit.requests {
            self.requests.take(quota, now, 1);
        }
    }

    /// Counts bytes, of a request or of an answer. They have come: what is too much is paid off
    /// before another request passes.
    pub fn count_bytes(&mut self, limit: &CallLimit, now: Moment, bytes: u64) {
        if let Some(quota) = limit.bytes {
            self.bytes.take(quota, now, bytes);
        }
    }

    /// One more is at work, if it may.
    pub fn begin_work(&mut self, limit: &CallLimit) -> Result<(), Refusal> {
        if limit.concurrent.is_some_and(|most| self.at_work >= most.get()) {
            return Err(Refusal { exceeded: Exceeded::Concurrent, retry_after: PATIENCE });
        }
        self.go_on_with_work();
        Ok(())
    }

    /// One that had been at work is so again, however many there are.
    pub const fn go_on_with_work(&mut self) {
        self.at_work = self.at_work.saturating_add(1);
    }

    pub const fn end_work(&mut self) {
        self.at_work = self.at_work.saturating_sub(1);
    }

    pub const fn at_work(&self) -> u32 {
        self.at_work
    }

    /// May it be forgotten?
    pub const fn is_idle(&self, now: Moment) -> bool {
        self.at_work == 0 && self.requests.is_full(now) && self.bytes.is_full(now)
    }
}

impl fmt::Display for Exceeded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Requests => "too many requests",
            Self::Concurrent => "too many requests at once",
            Self::Bytes => "too many bytes",
        })
    }
}
