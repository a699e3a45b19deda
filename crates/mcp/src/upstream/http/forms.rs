//! The two forms in which a header can hold what is no ASCII: base64 between sentinels, as the specification has it (MCP 2026-07-28, Streamable HTTP,
//! "Request Metadata"), and UTF-8 as it is, for servers that do not know that (FB80).

use std::{
    collections::HashSet,
    sync::{Mutex, PoisonError},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, Uri, header};

use super::{Body, ERROR_BODY, Media, Shared, UpstreamError, body};
use crate::{
    header_params,
    translate::errors,
    wire::{self, Message, Outcome, code},
};

/// The addresses of servers that do not know the base64 form of headers, found out once for each (FB80). One that turns out to know it is taken
/// out again.
#[derive(Debug, Default)]
pub(crate) struct PlainHeaders(Mutex<HashSet<Uri>>);

impl PlainHeaders {
    fn are_for(&self, server: &Uri) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).contains(server)
    }

    fn note(&self, server: &Uri, are_plain: bool) {
        let mut servers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if are_plain {
            servers.insert(server.clone());
        } else {
            servers.remove(server);
        }
    }
}

/// Does an answer of status 400 say that a header is not what the body says? Servers compare them before they do anything (MCP 2026-07-28, Streamable
/// HTTP, "Server Validation"), so the request may be made once more in another form.
fn is_mismatch(body: &Bytes) -> bool {
    let Ok(Message::Response(wire::Response { outcome: Outcome::Error(error), .. })) = wire::parse(body) else { return false };
    errors::code_of(&error) == Some(code::HEADER_MISMATCH)
}

/// An answer to a POST.
pub(super) enum Answered {
    Taken(Response<Body>),
    Refused(Refusal),
}

/// What a server that does not take a request says.
pub(super) struct Refusal {
    pub(super) status: StatusCode,
    pub(super) is_json: bool,
    pub(super) body: Bytes,
}

impl Answered {
    async fn of(response: Response<Body>) -> Result<Self, UpstreamError> {
        let status = response.status();
        if status.is_success() {
            return Ok(Self::Taken(response));
        }
        let is_json = matches!(Media::of(&response), Media::Json | Media::Unsaid);
        Ok(Self::Refused(Refusal { status, is_json, body: body::read(response, ERROR_BODY).await.unwrap_or_default() }))
    }
}

impl Shared {
    /// With headers in the form that the server is known to take; in the other one, once, where it refuses that before it does anything (FB80).
    /// What comes of a second try that fails too is the first refusal.
    pub(super) async fn send_in_its_form(&self, message: Bytes, headers: HeaderMap) -> Result<Answered, UpstreamError> {
        let Some(plain) = header_params::unencoded(&headers) else {
            return Answered::of(self.send_once(message, headers).await?).await;
        };
        let uri = self.target.uri();
        let is_plain = self.plain_headers.are_for(uri);
        let (first, second) = if is_plain { (plain, headers) } else { (headers, plain) };
        let refusal = match Answered::of(self.send_once(message.clone(), first).await?).await? {
            Answered::Refused(refusal) if refusal.status == StatusCode::BAD_REQUEST => refusal,
            other => return Ok(other),
        };
        if !is_plain && !is_mismatch(&refusal.body) {
            return Ok(Answered::Refused(refusal));
        }
        match Answered::of(self.send_once(message, second).await?).await? {
            Answered::Taken(response) => {
                tracing::info!(server = %self.inbox.key.server, is_utf8 = !is_plain, "the server takes headers that are no ASCII in another form");
                self.plain_headers.note(uri, !is_plain);
                Ok(Answered::Taken(response))
            }
            Answered::Refused(_) => Ok(Answered::Refused(refusal)),
        }
    }

    async fn send_once(&self, message: Bytes, mut headers: HeaderMap) -> Result<Response<Body>, UpstreamError> {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(header::ACCEPT, HeaderValue::from_static("application/json, text/event-stream"));
        self.target.send(Method::POST, self.with_session(headers), message).await
    }
}
