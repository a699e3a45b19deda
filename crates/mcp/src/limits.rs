//! The port through which requests are counted against limits: at which rate, how many at once, how
//! many bytes. What the limits are is the gateway's business. A request is counted when it has come
//! (`endpoint::post`), once more when it is known where it goes, and when its answer is there
//! (`calls::pipeline`); what a client waits for is not counted as at work (`endpoint::modern`).

use std::{num::NonZeroU32, time::Duration};

use portunus_core::ids::ServerName;

/// Counts one request. It must answer at once.
pub trait RequestLimits: Send + Sync {
    /// The request has come, with so many bytes. `server` is the one of its endpoint.
    fn begin(&self, server: Option<&ServerName>, bytes: usize) -> Result<(), Box<Limited>>;

    /// It goes to this server, and calls this tool there; `None` if it concerns no server alone.
    /// From now on it is at work.
    fn enter(&self, server: Option<&ServerName>, tool: Option<&str>) -> Result<(), Box<Limited>>;

    /// It waits for its client, and is not at work meanwhile.
    fn pause(&self);

    /// Its client has come back. It goes on however many others are at work by now.
    fn resume(&self);

    /// It is answered, with so many bytes.
    fn answered(&self, bytes: usize);

    /// It is at work no more, however it ended.
    fn leave(&self);
}

/// A request is not let through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limited {
    /// Which limit, by the name that it has in the configuration.
    pub limit: String,
    /// What there was too much of, and when to come back: for who asked.
    pub text: String,
    pub retry_after: Duration,
    /// So many refusals are to be told of; none, if some were a moment ago.
    pub told: Option<NonZeroU32>,
}

impl Limited {
    /// Whole seconds, as `Retry-After` has them: one at least.
    pub fn seconds(&self) -> u64 {
        seconds(self.retry_after)
    }
}

/// The same of a time alone.
pub(crate) fn seconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis().div_ceil(1000)).unwrap_or(u64::MAX).max(1)
}
