//! One message of the client, and what the server answers. Requests of both eras; a message is sent
//! again only when the server said, before anything of it was done, that it takes it no more
//! (no token, no session).

use std::{collections::VecDeque, sync::Arc, time::Duration};

use bytes::Bytes;
use futures::{StreamExt as _, stream::BoxStream};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use portunus_mcp::{
    bridge::{self, Decoder, ServerEvent},
    wire::{
        self, Message, Outcome, Payload, RequestId,
        protocol::{header_name, method, notification},
    },
};
use reqwest::Response;
use tokio::time::sleep;

use super::{
    error::{ConnectError, quoted},
    output::Output,
    server::Server,
    session::{Initialize, Session},
    tool_headers::{ToolHeaders, with_result},
};

/// The longest message of a server, in bytes.
pub(super) const MAX_MESSAGE: usize = 16 * 1024 * 1024;
const MAX_WORDS: usize = 64 * 1024;
/// Pages of a list of tools that are read for a call's headers.
const MAX_PAGES: u64 = 64;
/// How often in a row a stream is taken up again in vain.
const RESUMPTIONS: u32 = 5;
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Which era a request of the client belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Era {
    Legacy,
    /// The revision that the request names.
    Modern(String),
}

/// A request of the client.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) id: RequestId,
    pub(super) method: String,
    pub(super) params: Option<Payload>,
    /// As the client wrote it.
    pub(super) message: Bytes,
    pub(super) era: Era,
}

pub(super) struct Pipe {
    pub(super) server: Server,
    pub(super) session: Session,
    pub(super) output: Arc<Output>,
    pub(super) tools: ToolHeaders,
}

impl Pipe {
    /// Asks, and writes whatever comes back.
    pub(super) async fn request(&self, asked: &Asked) {
        let outcome = if asked.method == method::SUBSCRIPTIONS_LISTEN {
            self.listen(asked).await
        } else {
            self.ask(asked).await
        };
        if let Err(error) = outcome {
            tracing::warn!(method = asked.method, %error, "a request failed");
            let text = format!("portunus connect: {error}");
            let answer = wire::error(Some(&asked.id), wire::code::INTERNAL_ERROR, &text, None);
            self.output.write(&answer).await;
        }
    }

    /// A notification, or an answer to a question of the server.
    pub(super) async fn tell(&self, message: &Bytes) -> Result<(), ConnectError> {
        let current = self.session.current();
        let response =
            self.server.send(&Method::POST, &post_headers(current.headers()), message).await?;
        if response.status().is_success() {
            return Ok(());
        }
        Err(ConnectError::Server(format!("the server answers with status {}", response.status())))
    }

    /// The end of the session, told to the server.
    pub(super) async fn end(&self) {
        let current = self.session.current();
        if current.id.is_some() {
            let _ = self.server.send_quietly(&Method::DELETE, &current.headers()).await;
        }
    }

    async fn ask(&self, asked: &Asked) -> Result<(), ConnectError> {
        let mut is_second = false;
        loop {
            let current = self.session.current();
            let headers = match &asked.era {
                Era::Modern(version) => self.modern_headers(asked, version)?,
                Era::Legacy if asked.method == method::INITIALIZE => HeaderMap::new(),
                Era::Legacy => current.headers(),
            };
            let headers = post_headers(headers);
            let response = self.server.send(&Method::POST, &headers, &asked.message).await?;
            match (&asked.era, response.status()) {
                (Era::Legacy, StatusCode::NOT_FOUND)
                    if !is_second && asked.method != method::INITIALIZE && current.id.is_some() =>
                {
                    self.renew(current.generation).await?;
                }
                (Era::Modern(_), StatusCode::BAD_REQUEST)
                    if !is_second && asked.method == method::TOOLS_CALL =>
                {
                    let body = body_of(response, MAX_WORDS).await.unwrap_or_default();
                    if !is_header_mismatch(&body) || !self.learn_tools(asked).await {
                        return self.refused(asked, StatusCode::BAD_REQUEST, body).await;
                    }
                }
                _ => return self.answer(asked, response).await,
            }
            is_second = true;
        }
    }

    /// Lists tools for their headers, which a client that knows the list already does not do.
    /// `true`: the call has some.
    async fn learn_tools(&self, asked: &Asked) -> bool {
        let Some(params) = &asked.params else { return false };
        let Some(meta) = wire::find_member(params, &["_meta"]) else { return false };
        let mut cursor: Option<Payload> = None;
        for page in 0..MAX_PAGES {
            let mut members = vec![("_meta", meta.as_str())];
            members.extend(cursor.as_ref().map(|cursor| ("cursor", cursor.as_str())));
            let list = Asked {
                id: RequestId::number(page),
                method: method::TOOLS_LIST.to_owned(),
                params: Some(wire::object(&members)),
                message: Bytes::new(),
                era: asked.era.clone(),
            };
            let Some(result) = self.own_answer(&list).await else { break };
            self.tools.learn(&result);
            cursor = wire::find_member(&result, &["nextCursor"]);
            if cursor.as_ref().is_none_or(|cursor| cursor.as_str() == "null") {
                break;
            }
        }
        !self.tools.of_call(params).is_empty()
    }

    async fn own_answer(&self, asked: &Asked) -> Option<Payload> {
        let Era::Modern(version) = &asked.era else { return None };
        let headers = post_headers(self.modern_headers(asked, version).ok()?);
        let message = wire::request(&asked.id, &asked.method, asked.params.as_ref());
        let response = self.server.send(&Method::POST, &headers, &message).await.ok()?;
        answer_to(&asked.id, response).await
    }

    /// A stream of changes, begun again whenever it breaks: asking for it does nothing.
    async fn listen(&self, asked: &Asked) -> Result<(), ConnectError> {
        let mut pause = Duration::from_secs(1);
        loop {
            match self.ask(asked).await {
                Err(ConnectError::Broken | ConnectError::Unreachable(..)) => {}
                outcome => return outcome,
            }
            sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    fn modern_headers(&self, asked: &Asked, version: &str) -> Result<HeaderMap, ConnectError> {
        let bad = |error: wire::WireError| {
            ConnectError::Server(format!("the request cannot be read: {error}"))
        };
        let params = asked.params.as_ref();
        let mut headers = match params {
            Some(params) if asked.method == method::TOOLS_CALL => self.tools.of_call(params),
            _ => HeaderMap::new(),
        };
        headers.insert(header_name::PROTOCOL_VERSION, bridge::encode(version));
        headers.insert(header_name::METHOD, bridge::encode(&asked.method));
        if let Some(name) = bridge::named(&asked.method, params).map_err(bad)? {
            headers.insert(header_name::NAME, bridge::encode(&name));
        }
        Ok(headers)
    }

    async fn answer(&self, asked: &Asked, response: Response) -> Result<(), ConnectError> {
        let session_id = response.headers().get(header_name::SESSION_ID).cloned();
        let status = response.status();
        if !status.is_success() {
            let body = body_of(response, MAX_WORDS).await.unwrap_or_default();
            return self.refused(asked, status, body).await;
        }
        if !is_events(&response) {
            let body = body_of(response, MAX_MESSAGE).await?;
            let messages = parts_of(body);
            let mut is_done = false;
            for message in messages {
                is_done |= self.pass(asked, session_id.as_ref(), &message).await;
            }
            return if is_done { Ok(()) } else { Err(no_answer(status)) };
        }
        let mut events = Events::of(response);
        let mut failures = 0;
        loop {
            match events.next().await {
                Ok(Some(event)) => {
                    failures = 0;
                    if event.is_message()
                        && self.pass(asked, session_id.as_ref(), &Bytes::from(event.data)).await
                    {
                        return Ok(());
                    }
                }
                Ok(None) | Err(ConnectError::Broken) if failures < RESUMPTIONS => {
                    failures += 1;
                    let (last_id, retry) = (events.last_id.take(), events.retry);
                    drop(events);
                    events = self.resume(asked, last_id, retry).await?;
                }
                Ok(None) => return Err(ConnectError::Broken),
                Err(error) => return Err(error),
            }
        }
    }

    /// Takes a stream up again where it broke (MCP 2025-11-25, "Resumability and Redelivery").
    async fn resume(
        &self,
        asked: &Asked,
        last_id: Option<HeaderValue>,
        retry: Option<Duration>,
    ) -> Result<Events, ConnectError> {
        let Some(last) = last_id.filter(|_| asked.era == Era::Legacy) else {
            return Err(ConnectError::Broken);
        };
        sleep(pause_of(retry)).await;
        let mut headers = self.session.current().headers();
        headers.insert(header::ACCEPT, HeaderValue::from_static(EVENT_STREAM));
        headers.insert(header_name::LAST_EVENT_ID, last.clone());
        let next = match self.server.send(&Method::GET, &headers, &Bytes::new()).await {
            Ok(response) if response.status().is_success() && is_events(&response) => {
                Events::of(response)
            }
            Ok(response) if response.status().is_server_error() => Events::none(),
            Err(ConnectError::Broken | ConnectError::Unreachable(..)) => Events::none(),
            Ok(_) => return Err(ConnectError::Broken),
            Err(error) => return Err(error),
        };
        Ok(Events { last_id: Some(last), retry, ..next })
    }

    /// A status that is none of success: the error of JSON-RPC in it if there is one, else what it
    /// says in words.
    async fn refused(
        &self,
        asked: &Asked,
        status: StatusCode,
        body: Bytes,
    ) -> Result<(), ConnectError> {
        if let Ok(Message::Response(answer)) = wire::parse(&body)
            && let Outcome::Error(error) = &answer.outcome
        {
            let is_ours = answer.id.as_ref() == Some(&asked.id);
            let message =
                if is_ours { body.clone() } else { wire::error_raw(Some(&asked.id), error) };
            self.output.write(&message).await;
            return Ok(());
        }
        let is_text = std::str::from_utf8(&body).ok().filter(|text| !text.contains('<'));
        let words = quoted(is_text.unwrap_or_default().trim());
        let words = if words.is_empty() { words } else { format!(": {words}") };
        Err(ConnectError::Server(format!("the server answers with status {status}{words}")))
    }

    /// Hands a message of the server on. `true`: it is the answer.
    async fn pass(&self, asked: &Asked, session_id: Option<&HeaderValue>, message: &Bytes) -> bool {
        let answer = match wire::parse(message) {
            Ok(Message::Response(answer)) => answer,
            Ok(_) => {
                self.output.write(message).await;
                return false;
            }
            Err(error) => {
                tracing::warn!(%error, "the server sends what is no message of MCP: it is dropped");
                return false;
            }
        };
        let same_number = answer
            .id
            .as_ref()
            .and_then(RequestId::as_u64)
            .is_some_and(|n| asked.id.as_u64() == Some(n));
        if answer.id.as_ref() != Some(&asked.id) && !same_number {
            tracing::debug!("an answer to another request is dropped");
            return false;
        }
        let mut message = message.clone();
        match &answer.outcome {
            Outcome::Result(result)
                if asked.method == method::INITIALIZE && asked.era == Era::Legacy =>
            {
                let version: Option<String> = wire::find_member(result, &["protocolVersion"])
                    .and_then(|version| version.read().ok());
                let initialize =
                    Initialize { id: asked.id.clone(), message: asked.message.clone() };
                self.session.begin(initialize, session_id.cloned(), version.as_deref());
            }
            Outcome::Result(result)
                if asked.method == method::TOOLS_LIST && asked.era != Era::Legacy =>
            {
                if let Some(result) = self.tools.learn(result) {
                    message = with_result(&asked.id, &result);
                }
            }
            _ => {}
        }
        self.output.write(&message).await;
        true
    }

    /// Begins the session anew, as the client began it, unless another request has done so.
    pub(super) async fn renew(&self, generation: u64) -> Result<(), ConnectError> {
        let _one = self.session.renewing.lock().await;
        let current = self.session.current();
        let (Some(initialize), true) = (current.initialize, current.generation == generation)
        else {
            return Ok(());
        };
        tracing::info!("the server does not know the session any more: a new one is begun");
        let response = self
            .server
            .send(&Method::POST, &post_headers(HeaderMap::new()), &initialize.message)
            .await?;
        let id = response.headers().get(header_name::SESSION_ID).cloned();
        let refused = || {
            ConnectError::Server("the session is gone, and the server begins no new one".to_owned())
        };
        if !response.status().is_success() {
            return Err(refused());
        }
        let result = answer_to(&initialize.id, response).await.ok_or_else(refused)?;
        let version: Option<String> = wire::find_member(&result, &["protocolVersion"])
            .and_then(|version| version.read().ok());
        self.session.begin(initialize, id, version.as_deref());
        self.tell(&wire::notification(notification::INITIALIZED, None)).await?;
        self.session.announce();
        Ok(())
    }
}

/// Does a server miss headers, or have others than it expects?
fn is_header_mismatch(body: &Bytes) -> bool {
    match wire::parse(body) {
        Ok(Message::Response(answer)) => match answer.outcome {
            Outcome::Error(error) => wire::code_of(&error) == Some(wire::code::HEADER_MISMATCH),
            Outcome::Result(_) => false,
        },
        _ => false,
    }
}

/// The messages in a body: revision 2025-03-26 had batches.
fn parts_of(body: Bytes) -> Vec<Bytes> {
    if body.iter().find(|byte| !byte.is_ascii_whitespace()) != Some(&b'[') {
        return vec![body];
    }
    let all = Payload::from_json(&String::from_utf8_lossy(&body)).ok();
    let parts = all.and_then(|all| wire::elements(&all).ok()).unwrap_or_default();
    parts.iter().map(|part| part.as_bytes().clone()).collect()
}

/// The result of a request of our own.
async fn answer_to(id: &RequestId, response: Response) -> Option<Payload> {
    let result = |message: &Bytes| match wire::parse(message) {
        Ok(Message::Response(answer)) if answer.id.as_ref() == Some(id) => match answer.outcome {
            Outcome::Result(result) => Some(result),
            Outcome::Error(_) => None,
        },
        _ => None,
    };
    if !is_events(&response) {
        return result(&body_of(response, MAX_MESSAGE).await.ok()?);
    }
    let mut events = Events::of(response);
    while let Ok(Some(event)) = events.next().await {
        if let Some(found) = result(&Bytes::from(event.data)) {
            return Some(found);
        }
    }
    None
}

const EVENT_STREAM: &str = "text/event-stream";

fn post_headers(mut headers: HeaderMap) -> HeaderMap {
    let fixed: [(HeaderName, &str); 2] = [
        (header::CONTENT_TYPE, "application/json"),
        (header::ACCEPT, "application/json, text/event-stream"),
    ];
    for (name, value) in fixed {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers
}

pub(super) fn is_events(response: &Response) -> bool {
    let kind = response.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let essence = kind.and_then(|kind| kind.split(';').next()).unwrap_or_default();
    essence.trim().eq_ignore_ascii_case(EVENT_STREAM)
}

fn no_answer(status: StatusCode) -> ConnectError {
    ConnectError::Server(format!(
        "the server answers with status {status} and nothing in it that answers the request"
    ))
}

async fn body_of(response: Response, max: usize) -> Result<Bytes, ConnectError> {
    let mut body = Vec::new();
    let mut chunks = response.bytes_stream();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|_| ConnectError::Broken)?;
        if body.len() + chunk.len() > max {
            return Err(ConnectError::Server(format!(
                "the server's answer is longer than {max} bytes"
            )));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Bytes::from(body))
}

/// A stream of events, and how far it was read.
pub(super) struct Events {
    chunks: BoxStream<'static, reqwest::Result<Bytes>>,
    decoder: Decoder,
    ready: VecDeque<ServerEvent>,
    pub(super) last_id: Option<HeaderValue>,
    retry: Option<Duration>,
}

impl Events {
    pub(super) fn of(response: Response) -> Self {
        Self { chunks: response.bytes_stream().boxed(), ..Self::none() }
    }

    fn none() -> Self {
        Self {
            chunks: futures::stream::empty().boxed(),
            decoder: Decoder::new(MAX_MESSAGE),
            ready: VecDeque::new(),
            last_id: None,
            retry: None,
        }
    }

    /// `None`: the stream ended.
    pub(super) async fn next(&mut self) -> Result<Option<ServerEvent>, ConnectError> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Ok(Some(event));
            }
            let Some(chunk) = self.chunks.next().await else { return Ok(None) };
            let events = self.decoder.feed(&chunk.map_err(|_| ConnectError::Broken)?);
            self.ready.extend(events.map_err(|error| ConnectError::Server(error.to_string()))?);
            if let Some(id) = self.decoder.last_id() {
                // An empty one takes the position back.
                let id = HeaderValue::from_bytes(id.as_bytes()).ok();
                self.last_id = id.filter(|id| !id.is_empty());
            }
            self.retry = self.decoder.retry().map(Duration::from_millis).or(self.retry);
        }
    }

    pub(super) fn pause(&self) -> Duration {
        pause_of(self.retry)
    }
}

/// How long the server wants to be left alone.
fn pause_of(retry: Option<Duration>) -> Duration {
    retry.unwrap_or(Duration::from_secs(1)).min(LONGEST_PAUSE)
}
