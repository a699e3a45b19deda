//! One server as it is asked over Streamable HTTP: its address, the headers that every request to it has, and whether it still has the session
//! that they name. What is sent, and what becomes of the answers, is next door, in [`super::exchange`].

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
/// The largest number that every parser of JSON keeps: no call comes to have it.
const PING_ID: u64 = (1 << 53) - 1;

pub(super) struct Session {
    target: Target,
    /// Those that are configured.
    headers: HeaderMap,
    id: OnceLock<HeaderValue>,
    version: OnceLock<HeaderValue>,
    /// No sessions, no GET stream, no resuming.
    is_modern: AtomicBool,
    /// Held while the server is asked whether it has the session.
    last_ping: Mutex<Option<Ping>>,
}

/// What a server said of its session, and when it was asked.
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

    /// Goes on with a session of that id, of the revision that was agreed on. `None`: they cannot be said in headers.
    pub(super) fn resume(&self, id: &str, version: &str) -> Option<()> {
        self.id.set(HeaderValue::from_str(id).ok()?).ok()?;
        self.version.set(HeaderValue::from_str(version).ok()?).ok()
    }

    /// The server has begun a session. Only the first id is taken, which is the one on the answer to initialize.
    pub(super) fn begin(&self, id: &HeaderValue) {
        if !self.is_modern() {
            let _ = self.id.set(id.clone());
        }
    }

    /// The revision was agreed on: from now on every request names it.
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

    /// Has it named one, in the era that has sessions?
    pub(super) fn is_kept(&self) -> bool {
        self.has_begun() && !self.is_modern()
    }

    /// The id of a session that another link could go on with.
    pub(super) fn id(&self) -> Option<String> {
        let id = self.id.get()?.to_str().ok()?;
        (!self.is_modern()).then(|| id.to_owned())
    }

    pub(super) const fn uri(&self) -> &Uri {
        self.target.uri()
    }

    pub(super) async fn send(&self, method: Method, own: HeaderMap, body: Bytes) -> Result<Response<Body>, UpstreamError> {
        self.target.send(method, self.headers(own), body).await
    }

    /// The configured headers, then `own`, then the session's: ours win.
    fn headers(&self, own: HeaderMap) -> HeaderMap {
        let mut headers = own;
        for name in self.headers.keys() {
            if !headers.contains_key(name) {
                for value in self.headers.get_all(name) {
                    headers.append(name, value.clone());
                }
            }
        }
        for (name, value) in [(header_name::SESSION_ID, self.id.get()), (header_name::PROTOCOL_VERSION, self.version.get())] {
            if let Some(value) = value {
                headers.insert(name, value.clone());
            }
        }
        headers
    }

    /// Has the server forgotten the session? A ping tells, which does nothing: a request that was refused for another reason must not be
    /// made again, nor a connection be kept on which everything is refused. Those refused meanwhile share one ping's answer.
    ///
    /// `None`: it was not answered.
    pub(super) async fn is_gone(&self) -> Option<bool> {
        let refused = Instant::now();
        let mut last = self.last_ping.lock().await;
        match *last {
            Some(Ping { began, is_gone }) if began >= refused => is_gone,
            _ => {
                let began = Instant::now();
                let is_gone = self.ping_says_gone().await;
                *last = Some(Ping { began, is_gone });
                is_gone
            }
        }
    }

    async fn ping_says_gone(&self) -> Option<bool> {
        let own = RequestId::number(PING_ID);
        let ping = wire::request(&own, method::PING, Some(&wire::object(&[])));
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media::JSON));
        headers.insert(header::ACCEPT, HeaderValue::from_static(media::EITHER));
        let asking = async {
            let response = self.send(Method::POST, headers, ping).await.ok()?;
            let status = response.status();
            if !status.is_success() {
                // One that is too busy, or broken, has said nothing.
                return (gone::may_be(status)).then_some(true);
            }
            let body = body::read(response, body::OF_AN_ERROR).await.ok()?;
            Some(gone::is_said(&body))
        };
        // Nor has one that cannot be asked.
        tokio::time::timeout(PING, asking).await.ok().flatten()
    }
}
