//! Sends messages to one server on Streamable HTTP and puts its answers into the inbox: each
//! message is a POST, its answer JSON or a stream of events. The session is next door, in
//! [`super::session`]; the GET stream of a legacy server, in [`super::listen`].

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use futures::StreamExt as _;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header};
use http_body_util::BodyExt as _;
use tokio::sync::watch;

use super::{
    body,
    client::broken,
    coding::Body,
    events::{Decoder, ServerEvent},
    gone,
    media::{self, Media},
    plain_headers::PlainHeaders,
    position::StreamPosition,
    post::{self, Answered, Refusal},
    session::Session,
};
use crate::{
    upstream::{error::UpstreamError, inbox::Inbox, link::Outgoing},
    wire::{
        self, Message, Outcome,
        protocol::{header_name, method},
    },
};

/// How long a stream may go on after its answer, so that its connection can be used again.
const AFTER_ANSWER: Duration = Duration::from_secs(1);
/// How long an answer waits for progress that the server sent before it on another stream, if its
/// caller asked for progress.
const BESIDE: Duration = Duration::from_millis(10);

/// The state that the POSTs and the GET stream share.
pub(super) struct Exchange {
    pub(super) session: Session,
    pub(super) inbox: Arc<Inbox>,
    max_message: usize,
    plain_headers: Arc<PlainHeaders>,
    /// Is the GET stream open right now?
    pub(super) is_listening: AtomicBool,
    /// Has the first GET been answered, with success or not?
    pub(super) has_listened: watch::Sender<bool>,
}

impl Exchange {
    pub(super) fn new(
        session: Session,
        inbox: Arc<Inbox>,
        max_message: usize,
        plain_headers: Arc<PlainHeaders>,
    ) -> Self {
        let has_listened = watch::Sender::new(false);
        Self {
            session,
            inbox,
            max_message,
            plain_headers,
            is_listening: AtomicBool::new(false),
            has_listened,
        }
    }

    pub(super) async fn send(
        &self,
        Outgoing { message, awaits, headers }: Outgoing,
    ) -> Result<(), UpstreamError> {
        let is_own = headers
            .get(header_name::METHOD)
            .is_some_and(|method| method == method::SUBSCRIPTIONS_LISTEN);
        let answer = post::post(
            &self.session,
            &self.plain_headers,
            &self.inbox.key.server,
            message,
            headers,
        )
        .await?;
        let response = match answer {
            Answered::Taken(response) => response,
            Answered::Refused(refusal) => {
                return match self.handle_refusal(refusal, awaits).await {
                    // A modern server refuses so only after it was replaced by a legacy one, and
                    // did nothing. For `subscriptions/listen` it may lack the stream instead.
                    Err(UpstreamError::Status { status: 400 | 404 | 405 | 406, .. })
                        if self.session.is_modern() && !is_own =>
                    {
                        Err(self.expire(awaits))
                    }
                    other => other,
                };
            }
        };
        if let (Some(_), Some(session)) = (awaits, response.headers().get(header_name::SESSION_ID))
        {
            self.session.begin(session);
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
            Media::Other(other) => {
                Err(UpstreamError::protocol(format!("an answer of content type {other:?}")))
            }
        }
    }

    /// Gives progress of the call time to arrive: sent before the answer on another stream, it may
    /// be read after it (FB85).
    async fn let_progress_pass(&self, id: u64) {
        if self.is_listening.load(Ordering::Relaxed) && self.inbox.wants_progress(id) {
            tokio::time::sleep(BESIDE).await;
        }
    }

    /// Takes an answer without a media type: its first byte tells what it is.
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

    /// Reads a stream up to the answer. When it breaks, it is resumed at the last event, if the
    /// server gave events ids.
    async fn stream(&self, response: Response<Body>, id: u64) -> Result<(), UpstreamError> {
        let mut position = StreamPosition::default();
        let mut broken = self.pump(response, &mut position, Some(id)).await;
        while self.inbox.awaits(id) {
            let is_resumable = position.last_id.is_some() && !self.session.is_modern();
            if matches!(broken, Err(UpstreamError::TooLarge)) || !is_resumable {
                return broken;
            }
            tokio::time::sleep(position.pause()).await;
            position.has_begun = true;
            // However that fails, the call was sent: it may have run (FB74).
            let response =
                self.open_stream(&position).await.map_err(|error| not_resumed(&error))?;
            broken = self.pump(response, &mut position, Some(id)).await;
        }
        Ok(())
    }

    /// Opens a GET stream, after `position` if that has an id.
    pub(super) async fn open_stream(
        &self,
        position: &StreamPosition,
    ) -> Result<Response<Body>, UpstreamError> {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, HeaderValue::from_static(media::EVENT_STREAM));
        if let Some(id) = &position.last_id {
            headers.insert(header_name::LAST_EVENT_ID, id.clone());
        }
        let response = self.session.send(Method::GET, headers, Bytes::new()).await?;
        let status = response.status();
        if status == StatusCode::NOT_FOUND && self.session.has_begun() {
            // Calls under way may have run: the server no longer knows them (FB74).
            self.inbox.expire(None);
            return Err(UpstreamError::closed(
                "the server no longer has the session that a stream belongs to",
            ));
        }
        if !status.is_success() || Media::of(&response) != Media::Events {
            return Err(UpstreamError::Status { status: status.as_u16(), words: String::new() });
        }
        Ok(response)
    }

    /// Puts a stream's messages into the inbox until it ends, or until `awaited` is answered.
    pub(super) async fn pump(
        &self,
        response: Response<Body>,
        position: &mut StreamPosition,
        awaited: Option<u64>,
    ) -> Result<(), UpstreamError> {
        let mut decoder = Decoder::new(self.max_message);
        let mut body = response.into_body().into_data_stream();
        while let Some(chunk) = body.next().await {
            for event in decoder.feed(&chunk.map_err(|error| broken(&*error))?)? {
                if !event.is_message() {
                    continue;
                }
                let message = Bytes::from(event.data);
                match awaited {
                    Some(id) if !std::mem::replace(&mut position.has_begun, true) => {
                        self.take_first(&message, id).await?;
                    }
                    _ => self.inbox.deliver(&message, awaited),
                }
            }
            position.note(&decoder);
            if awaited.is_some_and(|id| !self.inbox.awaits(id)) {
                tokio::spawn(tokio::time::timeout(AFTER_ANSWER, async move {
                    while let Some(Ok(_)) = body.next().await {}
                }));
                return Ok(());
            }
        }
        Ok(())
    }

    /// Takes the first message in answer to a request.
    ///
    /// It may be an error of JSON-RPC that says that the session is gone. A later message that says
    /// so is the answer, since the request may have done something by then (FB74).
    async fn take_first(&self, message: &Bytes, id: u64) -> Result<(), UpstreamError> {
        if self.session.has_begun_legacy()
            && gone::is_told(message, id)
            && self.session.ask_whether_gone().await == Some(true)
        {
            return Err(self.expire(Some(id)));
        }
        self.inbox.deliver(message, Some(id));
        Ok(())
    }

    async fn handle_refusal(
        &self,
        Refusal { status, is_json, body }: Refusal,
        awaits: Option<u64>,
    ) -> Result<(), UpstreamError> {
        // An error without an id is about the request that it answers.
        let is_ours = |answer: &wire::Response| match &answer.id {
            Some(id) => id.as_u64() == awaits,
            None => matches!(answer.outcome, Outcome::Error(_)),
        };
        let answer = match (is_json, wire::parse(&body)) {
            (true, Ok(Message::Response(answer))) if is_ours(&answer) => {
                awaits.map(|id| (id, answer.outcome))
            }
            _ => None,
        };
        // By the specification, 404 means that the session is gone. With an answer beside it, or
        // where the text alone says so (FB31), a ping decides.
        let is_gone = match answer {
            _ if !self.session.has_begun() => false,
            None if status == StatusCode::NOT_FOUND => true,
            Some(_) if status != StatusCode::NOT_FOUND && !gone::is_said(&body) => false,
            // If the ping is not answered, status and text decide together.
            _ if self.session.has_begun_legacy() && gone::may_be(status) => self
                .session
                .ask_whether_gone()
                .await
                .unwrap_or(status == StatusCode::NOT_FOUND && gone::is_said(&body)),
            _ => false,
        };
        if is_gone {
            return Err(self.expire(awaits));
        }
        if let Some((id, outcome)) = answer {
            self.inbox.settle(id, outcome);
            return Ok(());
        }
        let words = self.inbox.log().excerpt(&body);
        Err(UpstreamError::Status { status: status.as_u16(), words })
    }

    /// Expires the connection: the server no longer has its session. `own` is the request that the
    /// server refused for it.
    fn expire(&self, own: Option<u64>) -> UpstreamError {
        self.inbox.expire(own);
        UpstreamError::SessionExpired
    }
}

/// The stream of an answer broke off, and the server does not let it be taken up again.
fn not_resumed(error: &UpstreamError) -> UpstreamError {
    let detail = match (error, error.detail()) {
        (UpstreamError::Closed { .. }, Some(detail)) => detail.to_owned(),
        (_, Some(detail)) => {
            format!("the stream of an answer cannot be taken up again: {error}: {detail}")
        }
        (_, None) => format!("the stream of an answer cannot be taken up again: {error}"),
    };
    UpstreamError::closed(detail)
}
