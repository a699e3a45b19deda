//! A transport as a [`super::Connection`] sees it: it sends messages, and puts those of the server
//! into the [`super::inbox::Inbox`]. The transports are next door, in [`super::stdio`] and
//! [`super::http`].

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
    /// Headers for transports that have them.
    pub(crate) headers: HeaderMap,
}

impl Outgoing {
    /// A message that has no answer.
    pub(crate) fn aside(message: Bytes) -> Self {
        Self { message, awaits: None, headers: HeaderMap::new() }
    }
}

#[async_trait]
pub(crate) trait Link: Send + Sync {
    /// Sends one message. Where [`Link::answers_inline`], the future of a request ends when its
    /// answer is in the inbox.
    async fn send(&self, outgoing: Outgoing) -> Result<(), UpstreamError>;

    /// Does the answer arrive while `send` runs, or on a stream of its own?
    fn answers_inline(&self) -> bool;

    /// Does the server take a request for cancelled when its `send` is dropped? Otherwise it gets
    /// `notifications/cancelled`.
    fn cancels_by_disconnect(&self) -> bool {
        false
    }

    /// Switches to the modern era, once the server turned out to be of it.
    fn become_modern(&self) {}

    /// Notes that the handshake is done, with the revision agreed on. The modern era has no
    /// handshake.
    fn complete_handshake(&self, protocol_version: &str);

    /// Waits, for a limited time, until messages of the server outside of calls arrive, or turn out
    /// not to.
    ///
    /// Where they have a stream of their own, a request that the server makes sooner would be lost.
    async fn wait_until_listening(&self) {}

    /// The id of the session that the server has begun, if another link could resume it.
    fn session_id(&self) -> Option<String> {
        None
    }

    /// Keeps the session on the server when the link closes, because another process resumes it.
    fn spare_session(&self) {}

    /// Closes the transport gracefully, in the end by force.
    async fn close(&self);
}
