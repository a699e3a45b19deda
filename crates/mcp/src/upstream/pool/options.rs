//! The options of the pool. What a single connection gets of them is next door, in
//! [`super::super::connect_options`].

use std::{sync::Arc, time::Duration};

use crate::{
    records::SessionRecords,
    upstream::server_requests::{NoServerRequests, ServerRequests},
};

/// Options that are the same for every connection of the pool.
#[derive(Clone)]
pub struct Options {
    /// Answers requests of servers that belong to no call.
    pub on_request: Arc<dyn ServerRequests>,
    /// The store of sessions with legacy HTTP servers. Without it they end with this process.
    pub records: Option<Arc<dyn SessionRecords>>,
    /// How many child processes may run.
    pub max_children: usize,
    /// How many child processes one person may have at first, so that one person cannot take them
    /// all (threat 47). Those that all users share do not count.
    pub max_children_per_user: usize,
    /// How many connections may be open, children included.
    pub max_connections: usize,
    /// How many connections one person may have (threat 56).
    pub max_connections_per_user: usize,
    /// The longest message taken from a server, in bytes.
    pub max_message: usize,
    /// The pause after a first failure; it doubles up to `backoff_max`.
    pub backoff_min: Duration,
    pub backoff_max: Duration,
    /// How long a child has to end by itself, and again after SIGTERM.
    pub close_grace: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            on_request: Arc::new(NoServerRequests),
            records: None,
            max_children: 256,
            max_children_per_user: 64,
            max_connections: 4096,
            max_connections_per_user: 256,
            max_message: 16 * 1024 * 1024,
            backoff_min: Duration::from_millis(500),
            backoff_max: Duration::from_secs(30),
            close_grace: Duration::from_secs(2),
        }
    }
}
