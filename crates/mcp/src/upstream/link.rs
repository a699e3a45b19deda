//! What a transport is to a [`super::Connection`]: it carries messages one way and puts what comes back into an
//! [`super::inbox::Inbox`].

use async_trait::async_trait;
use bytes::Bytes;
use http::HeaderMap;

use super::error::UpstreamError;

/// A message on its way to the server.
#[derive(Clone, Debug)]
pub(crate) struct Outgoing {
    pub(crate) message: Bytes,
    /// The id of the request that it is, if it is one.
    pub(crate) awaits: Option<u64>,
    /// What a transport that has headers sends along.
    pub(crate) headers: HeaderMap,
}

impl Outgoing {
    /// A message that nobody awaits an answer to.
    pub(crate) fn aside(message: Bytes) -> Self {
        Self { message, awaits: None, headers: HeaderMap::new() }
    }
}

#[async_trait]
pub(crate) trait Link: Send + Sync {
    /// Hands one message over. Where [`Link::answers_inline`], the future of a request ends when its answer is in the inbox.
    async fn send(&self, outgoing: Outgoing) -> Result<(), UpstreamError>;

    /// Does the answer arrive while `send` runs, or on a stream of its own?
    fn answers_inline(&self) -> bool;

    /// Does the server take a request for cancelled when its `send` is dropped? Otherwise it is told.
    fn cancels_by_disconnect(&self) -> bool {
        false
    }

    /// The server turned out to be of the modern era.
    fn become_modern(&self) {}

    /// The handshake is done. Not called in the modern era, which has none.
    fn complete_handshake(&self, protocol_version: &str);

    /// Waits until what the server says unasked is heard, or cannot be, or takes too long to tell. A question that comes sooner is lost where it
    /// has a stream of its own.
    async fn wait_until_listening(&self) {}

    /// The name of the session that the server has begun, if it could go on over another link.
    fn session_id(&self) -> Option<String> {
        None
    }

    /// The session goes on elsewhere: closing does not end it.
    fn spare_session(&self) {}

    /// Ends the transport gracefully, by force at last.
    async fn close(&self);
}
