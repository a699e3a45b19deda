//! A session with one server on Streamable HTTP: the address, the headers of every request, and
//! whether the server still has the session that they name. Messages and answers are next door, in
//! [`super::exchange`].

use std::{
    sync::{
        OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Response, Uri, header};
use tokio::{sync::Mutex, time::Instant};

use super::{body, client::Target, coding::Body, gone, media};
use crate::{
    upstream::error::UpstreamError,
    wire::{
        self, RequestId,
        protocol::{header_name, method},
    },
};

/// How long a server may take to say whether it still has the session.
const PING: Duration = Duration::from_secs(5);
/// The largest number that every JSON parser keeps; no call reaches it.
const PING_ID: u64 = (1 << 53) - 1;

pub(super) struct Session {
    target: Target,
    /// The configured headers.
    headers: HeaderMap,
    id: OnceLock<HeaderValue>,
    version: OnceLock<HeaderValue>,
    /// A modern server has no sessions, no GET stream and no resuming.
    is_modern: AtomicBool,
    /// Locked while the server is asked whether it has the session.
    last_ping: Mutex<Option<Ping>>,
}

/// When the server was asked whether it has the session, and what it answered.
#[derive(Clone, Copy)]
struct Ping {
    began: Instant,
    is_gone: Option<bool>,
}

impl Session {
    pub(super) fn new(target: Target, headers: HeaderMap) -> Self {
        Self {
            target,
            headers,
            id: OnceLock::new(),
            version: OnceLock::new(),
            is_modern: AtomicBool::new(false),
            last_ping: Mutex::new(None),
        }
    }

    /// Resumes a session by its id, with the revision agreed on. `None`: they do not fit into
    /// headers.
    pub(super) fn resume(&self, id: &str, version: &str) -> Option<()> {
        self.id.set(HeaderValue::from_str(id).ok()?).ok()?;
        self.version.set(HeaderValue::from_str(version).ok()?).ok()
    }

    /// Begins the session that the server named. Only the first id counts, which is that of the
    /// answer to `initialize`.
    pub(super) fn begin(&self, id: &HeaderValue) {
        if !self.is_modern() {
            let _ = self.id.set(id.clone());
        }
    }

    /// Sets the revision agreed on, which every later request names.
    pub(super) fn agree_on(&self, version: &str) {
        if let Ok(version) = HeaderValue::from_str(version) {
            let _ = self.version.set(version);
        }
    }

    pub(super) fn become_modern(&self) {
        self.is_modern.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_modern(&self) -> bool {
        self.is_modern.load(Ordering::Relaxed)
    }

    /// Has the server named a session?
    pub(super) fn has_begun(&self) -> bool {
        self.id.get().is_some()
    }

    /// Has the server named a session, and is it of the legacy era?
    pub(super) fn has_begun_legacy(&self) -> bool {
        self.has_begun() && !self.is_modern()
    }

    /// The id of a session that another link could resume.
    pub(super) fn id(&self) -> Option<String> {
        let id = self.id.get()?.to_str().ok()?;
        (!self.is_modern()).then(|| id.to_owned())
    }

    pub(super) const fn uri(&self) -> &Uri {
        self.target.uri()
    }

    pub(super) async fn send(
        &self,
        method: Method,
        own: HeaderMap,
        body: Bytes,
    ) -> Result<Response<Body>, UpstreamError> {
        self.target.send(method, self.headers(own), body).await
    }

    /// The configured headers, overridden by `own`, overridden by the session's.
    fn headers(&self, own: HeaderMap) -> HeaderMap {
        let mut headers = own;
        for name in self.headers.keys() {
            if !headers.contains_key(name) {
                for value in self.headers.get_all(name) {
                    headers.append(name, value.clone());
                }
            }
        }
        for (name, value) in [
            (header_name::SESSION_ID, self.id.get()),
            (header_name::PROTOCOL_VERSION, self.version.get()),
        ] {
            if let Some(value) = value {
                headers.insert(name, value.clone());
            }
        }
        headers
    }

    /// Asks the server with a ping whether the session is gone; `None` if the ping is not answered.
    ///
    /// A request that was refused for another reason must not be made again, and a connection on
    /// which everything is refused must not be kept. Requests that are refused meanwhile share the
    /// answer to one ping.
    pub(super) async fn ask_whether_gone(&self) -> Option<bool> {
        let refused = Instant::now();
        let mut last = self.last_ping.lock().await;
        match *last {
            Some(Ping { began, is_gone }) if began >= refused => is_gone,
            _ => {
                let began = Instant::now();
                let is_gone = self.ping().await;
                *last = Some(Ping { began, is_gone });
                is_gone
            }
        }
    }

    async fn ping(&self) -> Option<bool> {
        let own = RequestId::number(PING_ID);
        let ping = wire::request(&own, method::PING, Some(&wire::object(&[])));
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media::JSON));
        headers.insert(header::ACCEPT, HeaderValue::from_static(media::EITHER));
        let asking = async {
            let response = self.send(Method::POST, headers, ping).await.ok()?;
            let status = response.status();
            if !status.is_success() {
                // A server that is overloaded or broken has not answered the question.
                return (gone::may_be(status)).then_some(true);
            }
            let body = body::read(response, body::OF_AN_ERROR).await.ok()?;
            Some(gone::is_said(&body))
        };
        // Nor has a server that cannot be reached.
        tokio::time::timeout(PING, asking).await.ok().flatten()
    }
}
