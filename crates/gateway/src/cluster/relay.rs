//! Sends a forwarded request to its user's owner node, and gives the answer as it comes. What is
//! said about the user is in the envelope; of the client's headers only those that MCP has a use
//! for go along: never its token.

use std::sync::Arc;

use axum::{body::Body, response::Response};
use futures::{FutureExt as _, StreamExt as _};
use http::{HeaderMap, HeaderName, StatusCode, header};
use portunus_core::node::Node;

use super::{
    broken,
    forwarded::{ForwardedKind, ForwardedRequest},
    membership::Member,
    retry::lost_error,
};

/// Where a node takes forwarded requests in.
pub(super) const PATH: &str = "/errand";
pub(super) const ENVELOPE: HeaderName = HeaderName::from_static("portunus-envelope");
/// On answers of the node itself, which no client is to see.
pub(super) const REFUSED: HeaderName = HeaderName::from_static("portunus-refused");

const ALONG: [HeaderName; 6] = [
    header::ACCEPT,
    header::CONTENT_TYPE,
    HeaderName::from_static("last-event-id"),
    HeaderName::from_static("traceparent"),
    HeaderName::from_static("tracestate"),
    HeaderName::from_static("x-request-id"),
];

/// Headers of a connection, which end with it (RFC 9110 section 7.6.1).
const OF_THE_CONNECTION: [HeaderName; 4] =
    [header::CONNECTION, header::TRANSFER_ENCODING, header::CONTENT_LENGTH, header::UPGRADE];

pub(super) struct Relay {
    member: Arc<Member>,
    http: reqwest::Client,
}

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Undelivered {
    /// That node does not own the user's sessions.
    NotOwner,
    /// Nothing has been done.
    Unreached,
    /// It is not known what has been done.
    Broken,
}

impl Relay {
    pub(super) const fn new(member: Arc<Member>, http: reqwest::Client) -> Self {
        Self { member, http }
    }

    pub(super) async fn send(
        &self,
        node: &Node,
        forwarded: &ForwardedRequest,
    ) -> Result<Response, Undelivered> {
        let headers = along(&forwarded.headers);
        let envelope = self
            .member
            .envelopes
            .seal(&node.id, forwarded, &headers)
            .ok_or(Undelivered::Unreached)?;
        let request = self
            .http
            .post(format!("{}{PATH}", node.url))
            .headers(headers)
            .header(ENVELOPE, envelope)
            .body(forwarded.body.clone());
        // What changes nothing may be asked for twice.
        let is_post = forwarded.what == ForwardedKind::Mcp(http::Method::POST);
        let answer = tokio::select! {
            answer = request.send() => answer,
            // It has the forwarded request and may hang for ever.
            () = self.member.live_nodes.once_missing(&node.id) => {
                tracing::debug!(node = %node.id, url = node.url, "the node that has a forwarded request is gone");
                return Err(if is_post { Undelivered::Broken } else { Undelivered::Unreached });
            }
        };
        let answer = answer.map_err(|error| {
            tracing::debug!(node = %node.id, url = node.url, %error, "a request was not forwarded");
            if error.is_connect() || !is_post {
                Undelivered::Unreached
            } else {
                Undelivered::Broken
            }
        })?;
        if answer.headers().contains_key(&REFUSED) {
            if answer.status() == StatusCode::MISDIRECTED_REQUEST {
                return Err(Undelivered::NotOwner);
            }
            tracing::error!(
                node = %node.id, url = node.url, status = %answer.status(),
                "another node does not accept what this one sends: have all nodes the same AUTH_SECRET, and the same time?"
            );
            return Err(Undelivered::Unreached);
        }
        let mut response = Response::new(Body::empty());
        *response.status_mut() = answer.status();
        let end_to_end =
            answer.headers().iter().filter(|(name, _)| !OF_THE_CONNECTION.contains(name));
        response
            .headers_mut()
            .extend(end_to_end.map(|(name, value)| (name.clone(), value.clone())));
        let body = answer.bytes_stream();
        // A stream without an end must not hold up a node that stops: its client takes it up again
        // through another.
        let leaving = self.member.leaving.clone().cancelled_owned();
        let missing = self.member.live_nodes.once_missing(&node.id);
        *response.body_mut() = if lasts_for_ever(forwarded) {
            Body::from_stream(
                body.take_until(futures::future::select(Box::pin(leaving), Box::pin(missing))),
            )
        } else if is_stream(&response) {
            let is_gone = broken::is_gone(
                Arc::clone(&self.member),
                forwarded.principal.user.clone(),
                node.clone(),
            );
            let last = format!("event: message\ndata: {}\n\n", lost_error(forwarded));
            Body::from_stream(broken::told(
                Box::pin(body),
                is_gone.boxed(),
                missing.boxed(),
                last.into(),
            ))
        } else {
            Body::from_stream(body)
        };
        Ok(response)
    }
}

/// What clients listen on: a GET, or `subscriptions/listen`.
fn lasts_for_ever(forwarded: &ForwardedRequest) -> bool {
    match &forwarded.what {
        ForwardedKind::Mcp(method) if *method == http::Method::GET => true,
        ForwardedKind::Mcp(_) => forwarded
            .headers
            .get("mcp-method")
            .is_some_and(|method| method == "subscriptions/listen"),
        ForwardedKind::Tools => false,
    }
}

fn is_stream(response: &Response) -> bool {
    let media_type =
        response.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    media_type.is_some_and(|media_type| media_type.starts_with("text/event-stream"))
}

fn along(headers: &HeaderMap) -> HeaderMap {
    let wanted = headers
        .iter()
        .filter(|(name, _)| ALONG.contains(name) || name.as_str().starts_with("mcp-"));
    wanted.map(|(name, value)| (name.clone(), value.clone())).collect()
}
