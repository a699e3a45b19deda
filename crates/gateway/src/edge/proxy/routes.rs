//! The routes of `proxies`, and a request's way along one: made fit for the target, sent, and the
//! answer made fit for the client.

use std::{error::Error, sync::Arc, time::Duration};

use axum::{body::Body, extract::Request, response::Response};
use http::{HeaderValue, Method, StatusCode, Version, header};
use http_body::Body as _;
use http_body_util::{LengthLimitError, Limited};
use portunus_core::{request::HeaderPattern, resource::PublicUrl};
use tokio::time::Instant;

use super::{
    caller::Caller,
    endpoint,
    headers::{self, Outgoing},
    path::Rewrite,
    refusal::Refusal,
    timed_body::{TimedBody, TooSlow},
    trailers::WithoutTrailers,
};
use crate::{
    config::ProxyRoute,
    edge::{body, extensions::FromAnotherServer},
    net::ForwardingClient,
};

/// Limits of one forwarded request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProxyLimits {
    /// The most bytes of a request body (threat 47).
    pub request_body: usize,
    /// How long the target may take to begin its answer. A tool call answered as plain JSON begins
    /// only when it is done.
    pub first_byte: Duration,
}

impl Default for ProxyLimits {
    fn default() -> Self {
        Self { request_body: 4 * 1024 * 1024, first_byte: Duration::from_secs(300) }
    }
}

/// All routes, and what it takes to follow them.
#[derive(Clone)]
pub struct ProxyRoutes {
    routes: Arc<[Route]>,
    client: ForwardingClient,
    public_url: PublicUrl,
    limits: ProxyLimits,
}

struct Route {
    rewrite: Rewrite,
    /// Headers that pass beside those that pass everywhere.
    passed: Vec<HeaderPattern>,
}

impl ProxyRoutes {
    pub fn new(
        routes: &[ProxyRoute],
        client: ForwardingClient,
        public_url: PublicUrl,
        limits: ProxyLimits,
    ) -> Self {
        let routes = routes.iter().map(|route| Route {
            rewrite: Rewrite::new(&route.pattern, &route.target),
            passed: route.pass_headers.clone(),
        });
        let routes = routes.collect();
        Self { routes, client, public_url, limits }
    }

    /// Forwards a request that is allowed to use the route `pattern` (`Target::Proxy`), and streams
    /// the answer back.
    pub async fn forward(&self, pattern: &str, request: Request, caller: Caller<'_>) -> Response {
        match self.try_forward(pattern, request, caller).await {
            Ok(mut response) => {
                response.extensions_mut().insert(FromAnotherServer);
                response
            }
            Err(refusal) => refusal.respond(pattern, caller.request_id),
        }
    }

    async fn try_forward(
        &self,
        pattern: &str,
        request: Request,
        caller: Caller<'_>,
    ) -> Result<Response, Refusal> {
        let route = self
            .routes
            .iter()
            .find(|route| route.rewrite.pattern() == pattern)
            .ok_or(Refusal::NoRoute)?;
        let request = self.outgoing(route, request, caller)?;
        let answer =
            tokio::time::timeout(self.limits.first_byte, self.client.request(request)).await;
        let response = match answer {
            Err(_) => return Err(Refusal::Slow),
            Ok(Err(error)) if has::<LengthLimitError>(&error) => return Err(Refusal::TooLarge),
            Ok(Err(error)) if has::<TooSlow>(&error) => return Err(Refusal::SlowBody),
            Ok(Err(error)) => return Err(Refusal::Unreachable(error)),
            Ok(Ok(response)) => response,
        };
        self.incoming(&route.rewrite, response)
    }

    /// The request as the target shall see it.
    fn outgoing(
        &self,
        Route { rewrite, passed }: &Route,
        request: Request,
        caller: Caller<'_>,
    ) -> Result<Request, Refusal> {
        let (mut parts, body) = request.into_parts();
        if matches!(parts.method, Method::CONNECT | Method::TRACE) {
            return Err(Refusal::Method);
        }
        if headers::asks_for_websocket(&parts.headers) {
            return Err(Refusal::Upgrade);
        }
        let limit = self.limits.request_body;
        if body.size_hint().lower() > u64::try_from(limit).unwrap_or(u64::MAX) {
            return Err(Refusal::TooLarge);
        }
        // An empty body is told as the client told it: some servers want to be told (FB50). Any
        // other is told by the body itself.
        let is_told_empty = body.size_hint().exact() == Some(0)
            && parts.headers.contains_key(header::CONTENT_LENGTH);
        let uri = rewrite.outgoing(&parts.uri)?;
        let (host, prefix) = (rewrite.authority(), rewrite.prefix());
        let sent = Outgoing { host, prefix, public_url: &self.public_url, passed, caller };
        parts.headers = sent.headers(parts.headers).ok_or(Refusal::Headers)?;
        if is_told_empty {
            parts.headers.insert(header::CONTENT_LENGTH, HeaderValue::from_static("0"));
        }
        parts.uri = uri;
        parts.version = Version::HTTP_11;
        parts.extensions.clear();
        let until = Instant::now() + body::TIMEOUT;
        let body = TimedBody::new(Limited::new(WithoutTrailers(body), limit), until);
        Ok(Request::from_parts(parts, Body::new(body)))
    }

    /// The target's answer as the client shall see it.
    fn incoming(
        &self,
        rewrite: &Rewrite,
        response: http::Response<hyper::body::Incoming>,
    ) -> Result<Response, Refusal> {
        let (mut parts, body) = response.into_parts();
        match parts.status {
            // To the client a 401 means that *our* token is bad, and sends its user through a new
            // sign-in that cannot help.
            StatusCode::UNAUTHORIZED | StatusCode::PROXY_AUTHENTICATION_REQUIRED => {
                return Err(Refusal::Locked(parts.status));
            }
            StatusCode::SWITCHING_PROTOCOLS => return Err(Refusal::Switching),
            _ => {}
        }
        parts.headers = headers::incoming(parts.headers, |location| {
            rewrite.incoming(location, &self.public_url)
        });
        parts.version = Version::HTTP_11;
        parts.extensions.clear();
        let body = WithoutTrailers(body);
        if parts.status == StatusCode::OK && endpoint::may_begin(&parts.headers) {
            parts.headers.remove(header::CONTENT_LENGTH);
            let (rewrite, public_url) = (rewrite.clone(), self.public_url.clone());
            return Ok(Response::from_parts(
                parts,
                endpoint::rewritten(body, move |address| rewrite.endpoint(address, &public_url)),
            ));
        }
        Ok(Response::from_parts(parts, Body::new(body)))
    }
}

/// Is this among the causes?
fn has<E: Error + 'static>(error: &hyper_util::client::legacy::Error) -> bool {
    let mut source = error.source();
    while let Some(cause) = source {
        if cause.is::<E>() {
            return true;
        }
        source = cause.source();
    }
    false
}

#[cfg(test)]
mod tests;
