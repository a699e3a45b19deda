//! A server on Streamable HTTP (MCP 2025-11-25 and 2026-07-28, transports), as a [`Link`]. Only
//! configured headers and the protocol's own are sent, never a caller's (threat 31). How messages
//! travel is next door, in [`super::exchange`].

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, Method};
use portunus_core::secret::SecretText;
use url::Url;

use super::{
    client::{HttpClient, Target, header_map},
    exchange::Exchange,
    listen,
    session::Session,
};
use crate::upstream::{
    connect_options::ConnectOptions,
    error::UpstreamError,
    inbox::Inbox,
    link::{Link, Outgoing},
};

/// How long a new connection waits for the answer to its GET, before anything is called.
const LISTENING: Duration = Duration::from_secs(1);
/// How long deleting the session may take.
const GOODBYE: Duration = Duration::from_secs(2);

pub(in crate::upstream) struct HttpLink {
    exchange: Arc<Exchange>,
    /// The session is deleted, or must not be.
    deleted: AtomicBool,
}

impl HttpLink {
    pub(in crate::upstream) fn new(
        http: HttpClient,
        url: Url,
        headers: &[(HeaderName, SecretText)],
        inbox: &Arc<Inbox>,
        options: &ConnectOptions,
    ) -> Result<Self, UpstreamError> {
        inbox.open_log(headers.iter().map(|(_, value)| value));
        let mut headers = header_map(headers)?;
        let session = Session::new(Target::new(http, url, &mut headers)?, headers);
        let exchange = Exchange::new(
            session,
            Arc::clone(inbox),
            options.max_message,
            Arc::clone(&options.plain_headers),
        );
        Ok(Self { exchange: Arc::new(exchange), deleted: AtomicBool::new(false) })
    }

    /// Resumes a session by its id, with the revision agreed on. `None`: they do not fit into
    /// headers.
    pub(in crate::upstream) fn resume(self, session: &str, version: &str) -> Option<Arc<dyn Link>> {
        self.exchange.session.resume(session, version)?;
        Some(Arc::new(self))
    }
}

#[async_trait]
impl Link for HttpLink {
    async fn send(&self, outgoing: Outgoing) -> Result<(), UpstreamError> {
        self.exchange.send(outgoing).await
    }

    fn answers_inline(&self) -> bool {
        true
    }

    fn session_id(&self) -> Option<String> {
        self.exchange.session.id()
    }

    fn spare_session(&self) {
        self.deleted.store(true, Ordering::Relaxed);
    }

    fn cancels_by_disconnect(&self) -> bool {
        self.exchange.session.is_modern()
    }

    fn become_modern(&self) {
        self.exchange.session.become_modern();
    }

    fn complete_handshake(&self, protocol_version: &str) {
        self.exchange.session.agree_on(protocol_version);
        tokio::spawn(listen::run(Arc::clone(&self.exchange)));
    }

    async fn wait_until_listening(&self) {
        let mut has_listened = self.exchange.has_listened.subscribe();
        // It goes on in any case: some servers answer a GET only with their first message.
        let _ =
            tokio::time::timeout(LISTENING, has_listened.wait_for(|has_listened| *has_listened))
                .await;
    }

    async fn close(&self) {
        let expired = matches!(self.exchange.inbox.reason(), Some(UpstreamError::SessionExpired));
        if !self.exchange.session.has_begun()
            || expired
            || self.deleted.swap(true, Ordering::Relaxed)
        {
            return;
        }
        let request = self.exchange.session.send(Method::DELETE, HeaderMap::new(), Bytes::new());
        let _ = tokio::time::timeout(GOODBYE, request).await;
    }
}
