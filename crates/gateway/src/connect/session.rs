//! What a session of the legacy era holds (MCP 2025-11-25, "Session Management"): its id, its
//! revision, and the `initialize` with which it is begun anew when the server does not know it any
//! more.

use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use portunus_mcp::wire::{RequestId, protocol::header_name};
use tokio::sync::watch;

/// The `initialize` of the client.
#[derive(Clone, Debug)]
pub(super) struct Initialize {
    pub(super) id: RequestId,
    pub(super) message: Bytes,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Current {
    /// Another number for each session.
    pub(super) generation: u64,
    pub(super) id: Option<HeaderValue>,
    version: Option<HeaderValue>,
    pub(super) initialize: Option<Initialize>,
}

impl Current {
    pub(super) fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        if let Some(id) = &self.id {
            headers.insert(header_name::SESSION_ID, id.clone());
        }
        if let Some(version) = &self.version {
            headers.insert(header_name::PROTOCOL_VERSION, version.clone());
        }
        headers
    }
}

pub(super) struct Session {
    current: Mutex<Current>,
    /// One request at a time begins it anew.
    pub(super) renewing: tokio::sync::Mutex<()>,
    generations: watch::Sender<u64>,
}

impl Default for Session {
    fn default() -> Self {
        Self {
            current: Mutex::default(),
            renewing: tokio::sync::Mutex::default(),
            generations: watch::Sender::new(0),
        }
    }
}

impl Session {
    pub(super) fn current(&self) -> Current {
        self.current.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn begin(
        &self,
        initialize: Initialize,
        id: Option<HeaderValue>,
        version: Option<&str>,
    ) {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        current.generation += 1;
        current.id = id;
        current.version = version.and_then(|version| HeaderValue::from_str(version).ok());
        current.initialize = Some(initialize);
    }

    /// The server was told that the client is ready: its stream may be opened.
    pub(super) fn announce(&self) {
        let generation = self.current().generation;
        self.generations.send_replace(generation);
    }

    pub(super) fn generations(&self) -> watch::Receiver<u64> {
        self.generations.subscribe()
    }
}
