//! Sends a forwarded request to its user's owner node, and gives the answer as it comes. What is
//! said about the user is in the envelope; of the client's headers only those that MCP has a use
//! for go along: never its token.

use std::sync::Arc;

use axum::{body::Body, response::Response};
use futures::{FutureExt as _, StreamExt as _};
use http::{HeaderMap, HeaderName, header};
use portunus_core::node::Node;

use super::{
    broken,
    envelope::About,
    forwarded::{ForwardedKind, ForwardedRequest},
    retry::lost_error,
    sender::{Outgoing, Sender, Undelivered},
};

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

/// The answer of the user's owner node.
pub(super) async fn relay(
    sender: &Sender,
    node: &Node,
    forwarded: &ForwardedRequest,
) -> Result<Response, Undelivered> {
    let headers = along(&forwarded.headers);
    let about = About::forwarded(forwarded, &headers);
    let outgoing = Outgoing { about, headers, body: forwarded.body.clone() };
    // The head comes with the first thing that the call says, whenever that is.
    let sent = sender.send(node, outgoing, std::future::pending()).await;
    // What changes nothing may be asked for twice.
    let is_post = forwarded.what == ForwardedKind::Mcp(http::Method::POST);
    let answer = sent.map_err(|undelivered| match undelivered {
        Undelivered::Broken if !is_post => Undelivered::Unreached,
        undelivered => undelivered,
    })?;
    Ok(response_of(sender, node, forwarded, answer))
}

fn response_of(
    Sender { member, .. }: &Sender,
    node: &Node,
    forwarded: &ForwardedRequest,
    answer: reqwest::Response,
) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = answer.status();
    let end_to_end = answer.headers().iter().filter(|(name, _)| !OF_THE_CONNECTION.contains(name));
    response.headers_mut().extend(end_to_end.map(|(name, value)| (name.clone(), value.clone())));
    let body = answer.bytes_stream();
    // A stream without an end must not hold up a node that stops: its client takes it up again
    // through another.
    let leaving = member.leaving.clone().cancelled_owned();
    let missing = member.live_nodes.once_missing(&node.id);
    *response.body_mut() = if lasts_for_ever(forwarded) {
        Body::from_stream(
            body.take_until(futures::future::select(Box::pin(leaving), Box::pin(missing))),
        )
    } else if is_stream(&response) {
        let is_gone =
            broken::is_gone(Arc::clone(member), forwarded.principal.user.clone(), node.clone());
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
    response
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
