//! What the hub is told when it is made: limits, lifetimes, and whom it asks about tools and
//! sessions.

use std::{sync::Arc, time::Duration};

use crate::{
    pins::{ItemPins, NoPins},
    records::{NoRecords, SessionRecords, TaskRecords},
};

/// How tools and prompts are called on `/mcp` (design decision 4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Names {
    /// `{server}_{name}`.
    #[default]
    Prefixed,
    /// The server's own name. A name that two servers offer is listed once, as an entry that says
    /// so and cannot be called.
    Plain,
}

/// Limits and lifetimes of the client-facing half, and whom it asks about tools. Every number is a
/// bound on memory or on waiting.
#[derive(Clone, Debug)]
pub struct HubSettings {
    /// To begin with; [`crate::hub::Hub::reconfigure`] changes it.
    pub names: Names,
    /// Past it the user's longest unused idle session ends to make room.
    pub max_sessions_per_user: usize,
    /// A session without streams, calls or requests for this long ends.
    pub session_idle: Duration,
    /// GET streams open at once.
    pub max_streams_per_user: usize,
    /// Calls at work at once, to begin with; [`crate::hub::Hub::limit_calls_per_user`] changes it.
    pub max_in_flight_per_user: usize,
    /// Calls that wait for their client's input.
    pub max_waiting_per_user: usize,
    /// Resource subscriptions of one session.
    pub max_subscriptions: usize,
    /// Tasks of one user, and of all, whose server is remembered.
    pub max_tasks_per_user: usize,
    pub max_tasks: usize,
    /// How long the greeting on `/mcp` waits for servers that were not met yet; once for
    /// each of them.
    pub greeting_deadline: Duration,
    /// How long a merged list waits for servers that have not listed anything yet.
    pub list_deadline: Duration,
    /// A list older than this is still answered, and fetched anew behind the answer.
    pub catalogue_ttl: Duration,
    /// Items on one page of a merged list.
    pub page_size: usize,
    /// Items, and bytes, taken from one server's list; the rest is left out with a warning.
    pub max_items_per_list: usize,
    pub max_bytes_per_list: usize,
    /// How often a silent stream carries a comment, so that nothing in between takes it for dead.
    pub keep_alive: Duration,
    /// What is remembered of the servers' tools.
    pub pins: Arc<dyn ItemPins>,
    /// Where sessions are written down.
    pub records: Arc<dyn SessionRecords>,
    /// Where it is written down whose a task is.
    pub task_records: Arc<dyn TaskRecords>,
}

impl Default for HubSettings {
    fn default() -> Self {
        Self {
            names: Names::default(),
            max_sessions_per_user: 64,
            session_idle: Duration::from_secs(24 * 3600),
            max_streams_per_user: 64,
            max_in_flight_per_user: 64,
            max_waiting_per_user: 256,
            max_subscriptions: 256,
            max_tasks_per_user: 1_000,
            max_tasks: 100_000,
            greeting_deadline: Duration::from_secs(5),
            list_deadline: Duration::from_secs(10),
            catalogue_ttl: Duration::from_secs(600),
            page_size: 500,
            max_items_per_list: 5_000,
            max_bytes_per_list: 16 * 1024 * 1024,
            keep_alive: Duration::from_secs(15),
            pins: Arc::new(NoPins),
            records: Arc::new(NoRecords),
            task_records: Arc::new(NoRecords),
        }
    }
}
