//! The pool: which connection a holder gets, started on first use, one start at a time, backing off after failures, closed
//! when idle.

use std::{sync::Arc, time::Duration};

use portunus_core::ids::ServerName;

use super::{Connection, Holder, NoServerRequests, ServerRequests, UpstreamError};
use crate::{spec::ServerSpec, wire::Payload};

/// What is the same for every connection of the pool.
#[derive(Clone)]
pub struct Options {
    /// The client capabilities that the handshake declares: a JSON object.
    pub capabilities: Payload,
    pub on_request: Arc<dyn ServerRequests>,
    /// How many child processes may run.
    pub max_children: usize,
    /// How many connections may be open, children included.
    pub max_connections: usize,
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
            capabilities: Payload::from_value(&serde_json::json!({})),
            on_request: Arc::new(NoServerRequests),
            max_children: 256,
            max_connections: 4096,
            max_message: 16 * 1024 * 1024,
            backoff_min: Duration::from_millis(500),
            backoff_max: Duration::from_secs(30),
            close_grace: Duration::from_secs(2),
        }
    }
}

/// All servers behind the gateway.
pub struct Upstreams {
    specs: Vec<ServerSpec>,
}

impl Upstreams {
    /// `http` must not follow redirects and must have no credentials of its own.
    pub fn new(specs: Vec<ServerSpec>, _http: reqwest::Client, _options: Options) -> Self {
        Self { specs }
    }

    /// The servers, in the order of the configuration.
    pub fn specs(&self) -> impl Iterator<Item = &ServerSpec> {
        self.specs.iter()
    }

    /// The live connection that `holder` shares or owns, started if need be.
    pub async fn connection(&self, _server: &ServerName, _holder: &Holder) -> Result<Arc<Connection>, UpstreamError> {
        Err(UpstreamError::NotFound)
    }

    /// The session is over: connections of its own are closed.
    pub async fn close_session(&self, _holder: &Holder) {}

    /// Closes everything; returns when every child has ended or `deadline` has passed.
    pub async fn shutdown(&self, _deadline: Duration) {}
}
