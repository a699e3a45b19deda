//! A server on Streamable HTTP (MCP 2025-11-25 and 2026-07-28, transports): each message is a POST, its answer JSON or a stream of events;
//! what a legacy server says unasked comes on a GET stream ([`listen`]). Only configured headers and the protocol's own are sent, never
//! a caller's (threat 31).

mod body;
mod client;
mod coding;
mod events;
mod forms;
mod gone;
mod listen;

use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt as _;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, header};
use http_body_util::BodyExt as _;
use portunus_core::secret::SecretText;
use tokio::{
    sync::{Mutex, watch},
    time::Instant,
};
use url::Url;

pub use self::client::HttpClient;
pub(crate) use self::forms::PlainHeaders;
use self::forms::{Answered, Refusal};
pub(super) use self::{
    client::{Target, broken},
    coding::{Body, BodyError},
    events::{Decoder, ServerEvent},
};
use super::{
    Hello, UpstreamError,
    inbox::Inbox,
    link::{Link, Outgoing},
};
use crate::wire::{self, Message, Outcome};

const SESSION: HeaderName = HeaderName::from_static("mcp-session-id");
const VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");
const METHOD: HeaderName = HeaderName::from_static("mcp-method");
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
const EVENT_STREAM: &str = "text/event-stream";
/// How much of an error's body is read.
const ERROR_BODY: usize = 64 * 1024;
/// How long a stream may go on after its answer, so that its connection can be used again.
const AFTER_ANSWER: Duration = Duration::from_secs(1);
/// How long an answer waits for progress that was sent before it on another stream, where its caller wants any.
const BESIDE: Duration = Duration::from_millis(10);
/// How long a new connection waits for the answer to its GET, before anything is called.
const LISTENING: Duration = Duration::from_secs(1);
/// How long a server may take to say whether it still has the session.
const PING: Duration = Duration::from_secs(5);
/// The largest number that every parser of JSON keeps: no call comes to have it.
const PING_ID: u64 = (1 << 53) - 1;
/// How long deleting the session may take.
const GOODBYE: Duration = Duration::from_secs(2);

pub(super) struct HttpLink {
    shared: Arc<Shared>,
    /// There is nothing to delete any more.
    deleted: AtomicBool,
}

/// What the POSTs and the GET stream have in common.
struct Shared {
    target: Target,
    headers: HeaderMap,
    inbox: Arc<Inbox>,
    max_message: usize,
    plain_headers: Arc<PlainHeaders>,
    session: OnceLock<HeaderValue>,
    version: OnceLock<HeaderValue>,
    /// No sessions, no GET stream, no resuming.
    modern: AtomicBool,
    /// Is the GET stream open right now?
    is_listening: AtomicBool,
    /// Has the first GET been answered, whatever the answer?
    has_listened: watch::Sender<bool>,
    /// Held while the server is asked whether it has the session.
    last_ping: Mutex<Option<Ping>>,
}

/// What a server said of its session, and when it was asked.
#[derive(Clone, Copy)]
struct Ping {
    began: Instant,
    is_gone: Option<bool>,
}

impl HttpLink {
    pub(super) fn open(
        http: HttpClient,
        url: Url,
        headers: &[(HeaderName, SecretText)],
        inbox: &Arc<Inbox>,
        hello: &Hello,
    ) -> Result<Arc<dyn Link>, UpstreamError> {
        Ok(Arc::new(Self::new(http, url, headers, inbox, hello)?))
    }

    /// Goes on with a session of that name, of the revision that was agreed on. `None`: they cannot be said in headers.
    pub(super) fn resume(self, session: &str, version: &str) -> Option<Arc<dyn Link>> {
        self.shared.session.set(HeaderValue::from_str(session).ok()?).ok()?;
        self.shared.version.set(HeaderValue::from_str(version).ok()?).ok()?;
        Some(Arc::new(self))
    }

    pub(super) fn new(
        http: HttpClient,
        url: Url,
        headers: &[(HeaderName, SecretText)],
        inbox: &Arc<Inbox>,
        hello: &Hello,
    ) -> Result<Self, UpstreamError> {
        inbox.chatter(headers.iter().map(|(_, value)| value));
        let mut headers = header_map(headers)?;
        let shared = Shared {
            target: Target::new(http, url, &mut headers)?,
            headers,
            inbox: Arc::clone(inbox),
            max_message: hello.max_message,
            plain_headers: Arc::clone(&hello.plain_headers),
            session: OnceLock::new(),
            version: OnceLock::new(),
            modern: AtomicBool::new(false),
            is_listening: AtomicBool::new(false),
            has_listened: watch::Sender::new(false),
            last_ping: Mutex::new(None),
        };
        Ok(Self { shared: Arc::new(shared), deleted: AtomicBool::new(false) })
    }
}

/// The stream of an answer broke off, and the server does not let it be taken up again.
fn not_resumed(error: &UpstreamError) -> UpstreamError {
    let detail = match (error, error.detail()) {
        (UpstreamError::Closed { .. }, Some(detail)) => detail.to_owned(),
        (_, Some(detail)) => format!("the stream of an answer cannot be taken up again: {error}: {detail}"),
        (_, None) => format!("the stream of an answer cannot be taken up again: {error}"),
    };
    UpstreamError::closed(detail)
}

/// The configured headers, marked so that nothing prints their values.
pub(super) fn header_map(headers: &[(HeaderName, SecretText)]) -> Result<HeaderMap, UpstreamError> {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        let bad = |_| UpstreamError::Connect { detail: format!("the value of the configured header {name} is no header value") };
        let mut value = HeaderValue::from_str(value.expose()).map_err(bad)?;
        value.set_sensitive(true);
        map.append(name, value);
    }
    Ok(map)
}

#[async_trait]
impl Link for HttpLink {
    async fn send(&self, outgoing: Outgoing) -> Result<(), UpstreamError> {
        self.shared.post(outgoing).await
    }

    fn answers_inline(&self) -> bool {
        true
    }

    fn session(&self) -> Option<String> {
        let session = self.shared.session.get()?.to_str().ok()?;
        (!self.shared.modern.load(Ordering::Relaxed)).then(|| session.to_owned())
    }

    fn spare_session(&self) {
        self.deleted.store(true, Ordering::Relaxed);
    }

    fn cancels_by_disconnect(&self) -> bool {
        self.shared.modern.load(Ordering::Relaxed)
    }

    fn is_modern(&self) {
        self.shared.modern.store(true, Ordering::Relaxed);
    }

    fn initialized(&self, protocol_version: &str) {
        if let Ok(version) = HeaderValue::from_str(protocol_version) {
            let _ = self.shared.version.set(version);
        }
        tokio::spawn(listen::run(Arc::clone(&self.shared)));
    }

    async fn listens(&self) {
        let mut has_listened = self.shared.has_listened.subscribe();
        // In time or not: there are servers that answer a GET only when they have something to say.
        let _ = tokio::time::timeout(LISTENING, has_listened.wait_for(|has_listened| *has_listened)).await;
    }

    async fn close(&self) {
        let expired = matches!(self.shared.inbox.reason(), Some(UpstreamError::SessionExpired));
        if self.shared.session.get().is_none() || expired || self.deleted.swap(true, Ordering::Relaxed) {
            return;
        }
        let request = self.shared.target.send(Method::DELETE, self.shared.with_session(HeaderMap::new()), Bytes::new());
        let _ = tokio::time::timeout(GOODBYE, request).await;
    }
}

impl Shared {
    /// The configured headers, then `own`, then the session's: ours win.
    fn with_session(&self, own: HeaderMap) -> HeaderMap {
        let mut headers = own;
        for name in self.headers.keys() {
            if !headers.contains_key(name) {
                for value in self.headers.get_all(name) {
                    headers.append(name, value.clone());
                }
            }
        }
        for (name, value) in [(SESSION, self.session.get()), (VERSION, self.version.get())] {
            if let Some(value) = value {
                headers.insert(name, value.clone());
            }
        }
        headers
    }

    async fn post(&self, Outgoing { message, awaits, headers }: Outgoing) -> Result<(), UpstreamError> {
        let is_own = headers.get(METHOD).is_some_and(|method| method == "subscriptions/listen");
        let answer = self.send_in_its_form(message, headers).await?;
        let response = match answer {
            Answered::Taken(response) => response,
            Answered::Refused(refusal) => {
                return match self.failed(refusal, awaits).await {
                    // No modern server says this without a reason: it has become another, and did nothing. That it has no stream of changes is one.
                    Err(UpstreamError::Status { status: 400 | 404 | 405 | 406, .. })
                        if self.modern.load(Ordering::Relaxed) && !is_own =>
                    {
                        Err(self.expire(awaits))
                    }
                    other => other,
                };
            }
        };
        let is_modern = self.modern.load(Ordering::Relaxed);
        if let (Some(_), Some(session), false) = (awaits, response.headers().get(&SESSION), is_modern) {
            // Only the first is taken, which is the one on the answer to initialize.
            let _ = self.session.set(session.clone());
        }
        let Some(id) = awaits else { return Ok(()) };
        match Media::of(&response) {
            Media::Json => {
                let body = body::read(response, self.max_message).await?;
                self.let_progress_pass(id).await;
                self.take_first(&body, id).await
            }
            Media::Events => self.stream(response, id).await,
            Media::Unsaid => {
                let body = body::read(response, self.max_message).await?;
                self.take_unsaid(body, id).await
            }
            Media::Other(other) => Err(UpstreamError::protocol(format!("an answer of content type {other:?}"))),
        }
    }

    /// What the server said of the call before it answered is on another stream, and may be read after the answer (FB85).
    async fn let_progress_pass(&self, id: u64) {
        if self.is_listening.load(Ordering::Relaxed) && self.inbox.wants_progress(id) {
            tokio::time::sleep(BESIDE).await;
        }
    }

    /// An answer whose media type is not told: what it begins with tells.
    async fn take_unsaid(&self, body: Bytes, id: u64) -> Result<(), UpstreamError> {
        if let Some(b'{' | b'[') = body.iter().find(|byte| !byte.is_ascii_whitespace()) {
            return self.take_first(&body, id).await;
        }
        let mut decoder = Decoder::new(self.max_message);
        for event in decoder.feed(&body)?.into_iter().filter(ServerEvent::is_message) {
            self.inbox.deliver(&Bytes::from(event.data), Some(id));
        }
        Ok(())
    }

    /// Reads an answering stream to its answer; when it breaks off, resumes it where the server said it can be.
    async fn stream(&self, response: Response<Body>, id: u64) -> Result<(), UpstreamError> {
        let mut place = Place::default();
        let mut broken = self.pump(response, &mut place, Some(id)).await;
        while self.inbox.awaits(id) {
            let is_resumable = place.last_id.is_some() && !self.modern.load(Ordering::Relaxed);
            if matches!(broken, Err(UpstreamError::TooLarge)) || !is_resumable {
                return broken;
            }
            tokio::time::sleep(place.pause()).await;
            place.has_begun = true;
            // However that fails, the call was sent: it may have run (FB74).
            let response = self.open_stream(&place).await.map_err(|error| not_resumed(&error))?;
            broken = self.pump(response, &mut place, Some(id)).await;
        }
        Ok(())
    }

    /// Opens a GET stream, from `place` on if it is anywhere.
    async fn open_stream(&self, place: &Place) -> Result<Response<Body>, UpstreamError> {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, HeaderValue::from_static(EVENT_STREAM));
        if let Some(id) = place.last_id.as_deref().and_then(|id| HeaderValue::from_str(id).ok()) {
            headers.insert(LAST_EVENT_ID, id);
        }
        let response = self.target.send(Method::GET, self.with_session(headers), Bytes::new()).await?;
        let status = response.status();
        if status == StatusCode::NOT_FOUND && self.session.get().is_some() {
            // What is under way may have run: the server has forgotten it, and does not say what it did (FB74).
            self.inbox.expire(None);
            return Err(UpstreamError::closed("the server no longer has the session that a stream belongs to"));
        }
        if !status.is_success() || Media::of(&response) != Media::Events {
            return Err(UpstreamError::Status { status: status.as_u16(), words: String::new() });
        }
        Ok(response)
    }

    /// Puts a stream's messages into the inbox until it ends, or until `awaited` is answered.
    async fn pump(&self, response: Response<Body>, place: &mut Place, awaited: Option<u64>) -> Result<(), UpstreamError> {
        let mut decoder = Decoder::new(self.max_message);
        let mut body = response.into_body().into_data_stream();
        while let Some(chunk) = body.next().await {
            for event in decoder.feed(&chunk.map_err(|error| broken(&*error))?)? {
                if !event.is_message() {
                    continue;
                }
                let message = Bytes::from(event.data);
                match awaited {
                    Some(id) if !std::mem::replace(&mut place.has_begun, true) => self.take_first(&message, id).await?,
                    _ => self.inbox.deliver(&message, awaited),
                }
            }
            place.note(&decoder);
            if awaited.is_some_and(|id| !self.inbox.awaits(id)) {
                tokio::spawn(tokio::time::timeout(AFTER_ANSWER, async move { while let Some(Ok(_)) = body.next().await {} }));
                return Ok(());
            }
        }
        Ok(())
    }

    /// The first message on the way of the answer to this request. That the session is gone is told as an error of JSON-RPC too; what says
    /// so later is the answer, since the request may have done something by then (FB74).
    async fn take_first(&self, message: &Bytes, id: u64) -> Result<(), UpstreamError> {
        if self.is_in_session() && gone::is_told(message, id) && self.is_session_gone().await == Some(true) {
            return Err(self.expire(Some(id)));
        }
        self.inbox.deliver(message, Some(id));
        Ok(())
    }

    fn is_in_session(&self) -> bool {
        self.session.get().is_some() && !self.modern.load(Ordering::Relaxed)
    }

    async fn failed(&self, Refusal { status, is_json, body }: Refusal, awaits: Option<u64>) -> Result<(), UpstreamError> {
        // An error that names no request is about the one that it answers.
        let is_ours = |answer: &wire::Response| match &answer.id {
            Some(id) => id.as_u64() == awaits,
            None => matches!(answer.outcome, Outcome::Error(_)),
        };
        let answer = match (is_json, wire::parse(&body)) {
            (true, Ok(Message::Response(answer))) if is_ours(&answer) => awaits.map(|id| (id, answer.outcome)),
            _ => None,
        };
        // By the specification a session that is gone is told by 404; where something else is said with it, or where words could mean that
        // (FB31), the server is asked.
        let is_gone = match answer {
            _ if self.session.get().is_none() => false,
            None if status == StatusCode::NOT_FOUND => true,
            Some(_) if status != StatusCode::NOT_FOUND && !gone::is_said(&body) => false,
            // Without an answer to that, what the status says and the words too.
            _ if self.is_in_session() && gone::may_be(status) => {
                self.is_session_gone().await.unwrap_or(status == StatusCode::NOT_FOUND && gone::is_said(&body))
            }
            _ => false,
        };
        if is_gone {
            return Err(self.expire(awaits));
        }
        if let Some((id, outcome)) = answer {
            self.inbox.settle(id, outcome);
            return Ok(());
        }
        let words = self.inbox.chatter(std::iter::empty()).words(&body);
        Err(UpstreamError::Status { status: status.as_u16(), words })
    }

    /// Has the server forgotten the session? A ping tells, which does nothing: a request that was refused for another reason must not be
    /// made again, nor a connection be kept on which everything is refused. Those refused meanwhile share one ping's answer.
    ///
    /// `None`: it was not answered.
    async fn is_session_gone(&self) -> Option<bool> {
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
        let own = wire::RequestId::number(PING_ID);
        let ping = wire::request(&own, "ping", Some(&wire::object(&[])));
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(header::ACCEPT, HeaderValue::from_static("application/json, text/event-stream"));
        let asking = async {
            let response = self.target.send(Method::POST, self.with_session(headers), ping).await.ok()?;
            let status = response.status();
            if !status.is_success() {
                // One that is too busy, or broken, has said nothing.
                return (gone::may_be(status)).then_some(true);
            }
            let body = body::read(response, ERROR_BODY).await.ok()?;
            Some(gone::is_said(&body))
        };
        // Nor has one that cannot be asked.
        tokio::time::timeout(PING, asking).await.ok().flatten()
    }

    /// The server forgot the session: nothing more can come of this connection. `own` is the request that it said so to.
    fn expire(&self, own: Option<u64>) -> UpstreamError {
        self.inbox.expire(own);
        UpstreamError::SessionExpired
    }
}

/// How far a stream was read.
#[derive(Debug, Default)]
struct Place {
    last_id: Option<String>,
    retry: Option<Duration>,
    /// Something of the answer was read, or may have been lost.
    has_begun: bool,
}

impl Place {
    fn note(&mut self, decoder: &Decoder) {
        if let Some(id) = decoder.last_id() {
            self.last_id = Some(id.to_owned());
        }
        self.retry = decoder.retry().map(Duration::from_millis).or(self.retry);
    }

    fn pause(&self) -> Duration {
        self.retry.unwrap_or(Duration::from_secs(1)).clamp(Duration::from_millis(50), Duration::from_secs(30))
    }
}

/// What an answer says it is.
#[derive(Debug, PartialEq, Eq)]
enum Media {
    Json,
    Events,
    Unsaid,
    Other(String),
}

impl Media {
    /// Media types have no case (RFC 9110 section 8.3.1), and JSON goes by several.
    fn of<B>(response: &Response<B>) -> Self {
        let value = response.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let essence = value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        match essence.as_str() {
            "" => Self::Unsaid,
            EVENT_STREAM => Self::Events,
            "application/json" | "text/json" | "application/json-rpc" | "application/jsonrequest" => Self::Json,
            json if json.ends_with("+json") => Self::Json,
            _ => Self::Other(essence),
        }
    }
}
