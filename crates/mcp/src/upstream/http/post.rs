//! Sends one POST. Headers beyond ASCII have one of two forms: base64 between sentinels, as the
//! specification has it (MCP 2026-07-28, Streamable HTTP, "Request Metadata"), or plain UTF-8, for
//! servers that do not know that (FB80). Answers are read next door, in [`super::exchange`].

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header};
use portunus_core::ids::ServerName;

use super::{
    body,
    coding::Body,
    media::{self, Media},
    plain_headers::PlainHeaders,
    session::Session,
};
use crate::{
    header_params,
    upstream::error::UpstreamError,
    wire::{self, Message, Outcome, code},
};

/// Does an answer of status 400 say that a header and the body differ?
///
/// Servers compare them before they do anything (MCP 2026-07-28, Streamable HTTP, "Server
/// Validation"), so the request may be sent again in another form.
fn is_mismatch(body: &Bytes) -> bool {
    let Ok(Message::Response(wire::Response { outcome: Outcome::Error(error), .. })) =
        wire::parse(body)
    else {
        return false;
    };
    wire::code_of(&error) == Some(code::HEADER_MISMATCH)
}

/// An answer to a POST.
pub(super) enum Answered {
    Taken(Response<Body>),
    Refused(Refusal),
}

/// The answer of a server that refuses a request.
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
        Ok(Self::Refused(Refusal {
            status,
            is_json,
            body: body::read(response, body::OF_AN_ERROR).await.unwrap_or_default(),
        }))
    }
}

/// Sends a message with headers in the form that the server is known to take; if the server refuses
/// it as a mismatch, once more in the other form (FB80). If that is refused too, the first refusal
/// is returned.
pub(super) async fn post(
    session: &Session,
    plain_headers: &PlainHeaders,
    server: &ServerName,
    message: Bytes,
    headers: HeaderMap,
) -> Result<Answered, UpstreamError> {
    let Some(plain) = header_params::unencoded(&headers) else {
        return Answered::of(send(session, message, headers).await?).await;
    };
    let uri = session.uri();
    let is_plain = plain_headers.are_for(uri);
    let (first, second) = if is_plain { (plain, headers) } else { (headers, plain) };
    let refusal = match Answered::of(send(session, message.clone(), first).await?).await? {
        Answered::Refused(refusal) if refusal.status == StatusCode::BAD_REQUEST => refusal,
        other => return Ok(other),
    };
    if !is_plain && !is_mismatch(&refusal.body) {
        return Ok(Answered::Refused(refusal));
    }
    match Answered::of(send(session, message, second).await?).await? {
        Answered::Taken(response) => {
            tracing::info!(%server, is_utf8 = !is_plain, "the server takes headers that are no ASCII in another form");
            plain_headers.note(uri, !is_plain);
            Ok(Answered::Taken(response))
        }
        Answered::Refused(_) => Ok(Answered::Refused(refusal)),
    }
}

async fn send(
    session: &Session,
    message: Bytes,
    mut headers: HeaderMap,
) -> Result<Response<Body>, UpstreamError> {
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media::JSON));
    headers.insert(header::ACCEPT, HeaderValue::from_static(media::EITHER));
    session.send(Method::POST, headers, message).await
}
