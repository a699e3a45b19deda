//! What every connection of the pool is made with. What the pool itself can be told is next door,
//! in [`super::pool::Options`].

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{http::plain_headers::PlainHeaders, server_requests::ServerRequests};
use crate::{child::Launcher, records::SessionRecords};

/// What every connection of the pool is made with.
#[derive(Clone)]
pub(crate) struct ConnectOptions {
    pub(crate) on_request: Arc<dyn ServerRequests>,
    /// Where sessions with servers are written down, if they are.
    pub(crate) records: Option<Arc<dyn SessionRecords>>,
    /// How children are started; unset, they run without a supervisor.
    pub(crate) launcher: Arc<OnceLock<Launcher>>,
    /// The longest message taken from a server.
    pub(crate) max_message: usize,
    /// How long a server has to end by itself.
    pub(crate) close_grace: Duration,
    /// The time for grace is over: end by force.
    pub(crate) kill_now: CancellationToken,
    /// What a shutdown waits for.
    pub(crate) tasks: TaskTracker,
    /// Which servers take headers as UTF-8 alone.
    pub(crate) plain_headers: Arc<PlainHeaders>,
}
