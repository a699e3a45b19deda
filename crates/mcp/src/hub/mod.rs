//! The hub: the MCP endpoint of the gateway without its HTTP. The edge hands it a [`Caller`], headers and bytes and gets an
//! [`Answer`] back. Sessions live in `session`, the transport's rules in `endpoint`, merged lists in `aggregate`.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use portunus_core::{entropy::Entropy, ids::ServerName};

use crate::{
    answer::{Answer, Body},
    spec::ServerSpec,
};

mod settings;

pub use settings::{Caller, HubSettings, Names, View};

/// What the hub asks of the servers behind it. `upstream::Upstreams` is the one that reaches real servers.
pub trait Servers: Send + Sync {}

/// A tool as `GET /tools` lists it.
#[derive(Clone, Debug)]
pub struct ServerTool {
    pub server: ServerName,
    /// As it is called in the caller's view.
    pub name: String,
    /// The tool object, `name` as above, all else as the server wrote it.
    pub tool: Bytes,
}

/// Everything behind the MCP endpoints.
#[derive(Debug)]
pub struct Hub {}

impl Hub {
    /// Must be called within a tokio runtime: it starts the task that ends idle sessions.
    pub fn new(_: HubSettings, _: Vec<ServerSpec>, _: Arc<dyn Servers>, _: Arc<dyn Entropy>) -> Arc<Self> {
        Arc::new(Self {})
    }

    /// A message from the client.
    #[expect(clippy::unused_async, reason = "the body follows")]
    pub async fn post(&self, _: Caller, _: &HeaderMap, _: Bytes) -> Answer {
        Answer { status: StatusCode::NOT_IMPLEMENTED, headers: HeaderMap::new(), body: Body::Empty }
    }

    /// The client opens a stream for the servers' messages.
    #[expect(clippy::unused_async, reason = "the body follows")]
    pub async fn get(&self, _: Caller, _: &HeaderMap) -> Answer {
        Answer { status: StatusCode::NOT_IMPLEMENTED, headers: HeaderMap::new(), body: Body::Empty }
    }

    /// The client ends its session.
    #[expect(clippy::unused_async, reason = "the body follows")]
    pub async fn delete(&self, _: Caller, _: &HeaderMap) -> Answer {
        Answer { status: StatusCode::NOT_IMPLEMENTED, headers: HeaderMap::new(), body: Body::Empty }
    }

    /// The tools that the caller may use, in the order of the list.
    #[expect(clippy::unused_async, reason = "the body follows")]
    pub async fn tools(&self, _: Caller) -> Vec<ServerTool> {
        Vec::new()
    }

    /// Ends all sessions and streams. The servers' connections are closed by whoever made them.
    #[expect(clippy::unused_async, reason = "the body follows")]
    pub async fn shutdown(&self) {}
}
