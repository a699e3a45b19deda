//! The layers round every endpoint, outermost first: a request id and one line in the log; panics
//! become 500; a path with one reading and one host (threats 60, 65); `Host` and `Origin` (threat
//! 34); headers that every answer carries; requests under way are counted by address (threat 62),
//! and so are failed authentications. [`super::router`] puts them on.
//!
//! They are plain functions, one inside the other. As layers of tower each request would clone and
//! box all that is inside of each of them, which took more time than what they do.

use std::{
    any::Any,
    net::IpAddr,
    panic::AssertUnwindSafe,
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    Json, Router,
    extract::Request,
    response::{IntoResponse, Response},
};
use futures::FutureExt as _;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Version, header};
use portunus_core::{
    Entropy,
    address_block::AddressBlock,
    request::{Authority, BadHost, PlainPath, agreed_host},
    resource::PublicUrl,
};
use serde_json::json;
use tower::ServiceExt as _;
use tracing::{Instrument as _, Span};
use url::Url;

use super::{
    extensions::{AddressPermit, ConnectedFrom, Peer, RequestId},
    for_browsers,
    health::{self, Stopping},
    keyed_limit::KeyedLimit,
    oauth::support::answers,
    spanned_body::in_span,
    throttle::{
        layer,
        limiter::{Throttle, TooMany},
    },
};
use crate::{
    audit::{AuditLog, RequestAudit},
    config::Cidr,
    metrics::Metrics,
};

/// Who may speak to us at all, before any token is looked at (threats 34, 38).
#[derive(Clone, Debug, Default)]
pub struct Admission {
    pub allowed_hosts: Vec<String>,
    pub allowed_origins: Vec<String>,
    pub trusted_proxies: Vec<Cidr>,
}

/// What the layers need to know.
pub struct EdgeState {
    pub public_url: PublicUrl,
    pub admission: Admission,
    pub entropy: Arc<dyn Entropy>,
    pub throttle: Throttle,
    /// Requests of each address that are under way.
    pub requests: KeyedLimit<AddressBlock>,
    /// So many at most.
    pub requests_per_address: usize,
    pub stopping: Stopping,
    /// Where it is told what requests do.
    pub audit: AuditLog,
    /// Where they are counted.
    pub metrics: Metrics,
    /// Pages say so.
    pub demo: bool,
    /// What they stand round.
    pub endpoints: Router,
}

/// Paths a browser of any origin may call: they use no cookie, and browser-based clients need them
/// before they have a token.
const OPEN_TO_ALL_ORIGINS: [&str; 8] = [
    "/.well-known/",
    "/auth/register",
    "/auth/register/",
    "/auth/token",
    "/auth/revoke",
    "/auth/jwks.json",
    "/register",
    "/token",
];
/// Paths of load balancers, which know us by address.
const ANY_HOST: [&str; 3] = ["/health", "/healthz", "/ready"];
const TWO_READINGS: &str = "the path could be read as another one: it must not have dot segments, empty segments, ';', '\\', encoded \
                            separators, nor encoded letters, digits, '-', '.', '_' or '~'";
const ONE_HOST: &str =
    "the request must name one host: in one Host header, or in its target, the same in both";
const CORS_METHODS: &str = "GET, POST, PUT, DELETE, OPTIONS";
const CORS_HEADERS: &str = "authorization, content-type, accept, mcp-protocol-version, mcp-session-id, mcp-method, mcp-name, last-event-id";
/// So many header names of a preflight are answered.
const CORS_WANTED: usize = 64;
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const CORS_EXPOSED: &str = "mcp-session-id, www-authenticate, x-request-id";

/// Every request comes through here. It gets its id, and a line in the log when it has ended. The
/// query is never logged (threat 48).
pub async fn observe(state: Arc<EdgeState>, mut request: Request) -> Response {
    let id = RequestId::generate(&*state.entropy);
    let connection = request.extensions().get::<ConnectedFrom>().map(|connection| connection.0);
    let peer = connection.map(|address| peer(address, request.headers(), &state.admission));
    // In place of one that a client may have sent: the endpoint reads it there.
    if let Ok(value) = HeaderValue::from_str(id.as_str()) {
        request.headers_mut().insert(REQUEST_ID, value);
    }
    request.extensions_mut().insert(id.clone());
    let audit = RequestAudit::new(state.audit.clone(), peer, id.as_str());
    request.extensions_mut().insert(audit.clone());
    request.extensions_mut().insert(Peer(peer.unwrap_or(IpAddr::from([0, 0, 0, 0]))));
    let (method, version) = (request.method().clone(), request.version());
    let path = request.uri().path().to_owned();
    let wants_page = for_browsers::wants_page(&method, request.headers(), &path);
    let (started, underway) = (Instant::now(), state.metrics.request(&method, &path));
    let span = tracing::info_span!("request", request_id = id.as_str());
    async move {
        let ended = AssertUnwindSafe(admit(&state, request)).catch_unwind().await;
        let mut response = ended.unwrap_or_else(panicked);
        if wants_page {
            response = for_browsers::as_page(response, &path, &id, state.demo);
        }
        health::last_answer(&state.stopping, version, &mut response);
        if let Ok(value) = HeaderValue::from_str(id.as_str()) {
            response.headers_mut().insert(REQUEST_ID, value);
        }
        let ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        underway.answered(response.status());
        let status = response.status().as_u16();
        let (principal, target) = (audit.names().principal.get(), audit.names().target.get());
        tracing::info!(
            method = method.as_str(),
            path,
            status,
            ms,
            peer = peer.map(spelled).as_deref(),
            user = principal.map(|principal| principal.user.as_str()),
            client_id = principal.map(|principal| principal.client.as_str()),
            server = target.map(|(server, _)| server.as_str()),
            tool = target.map(|(_, name)| name.as_str()),
            "request"
        );
        in_span(response, Span::current())
    }
    .instrument(span)
    .await
}

/// The address as its [`Display`](std::fmt::Display) has it, which for IPv4 goes through the
/// formatting of four numbers.
fn spelled(address: IpAddr) -> String {
    let IpAddr::V4(address) = address else { return address.to_string() };
    let mut text = String::with_capacity("255.255.255.255".len());
    for (n, octet) in address.octets().into_iter().enumerate() {
        if n > 0 {
            text.push('.');
        }
        for (unit, from) in [(100, 100), (10, 10), (1, 0)] {
            if octet >= from {
                text.push(char::from(b'0' + octet / unit % 10));
            }
        }
    }
    text
}

/// The right-most address that is not a trusted proxy; what stands left of it could be made up.
fn peer(connection: IpAddr, headers: &HeaderMap, admission: &Admission) -> IpAddr {
    let is_trusted =
        |address: IpAddr| admission.trusted_proxies.iter().any(|cidr| cidr.contains(address));
    if !is_trusted(connection) {
        return connection;
    }
    let forwarded =
        headers.get_all("x-forwarded-for").iter().filter_map(|value| value.to_str().ok());
    let hops: Vec<_> = forwarded
        .flat_map(|line| line.split(','))
        .map(|hop| hop.trim().parse::<IpAddr>())
        .collect();
    let mut peer = connection;
    for hop in hops.into_iter().rev() {
        match hop {
            Ok(address) if is_trusted(address) => peer = address,
            Ok(address) => return address,
            Err(_) => return peer,
        }
    }
    peer
}

/// A panic in a handler is the gateway's fault: 500, and the process goes on.
#[expect(clippy::needless_pass_by_value, reason = "a caught panic is owned")]
fn panicked(panic: Box<dyn Any + Send + 'static>) -> Response {
    let detail = panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    tracing::error!(detail, "a request panicked");
    (StatusCode::INTERNAL_SERVER_ERROR, Json(json!({"error": "server_error"}))).into_response()
}

/// The request must have one meaning: a path that every server reads in the same way (threats 39,
/// 60) and one host (threat 65). That host must be ours, `Origin` must be ours or allowed (threat
/// 34: DNS rebinding, cross-site requests).
async fn admit(state: &EdgeState, request: Request) -> Response {
    let path = match PlainPath::parse(request.uri().path()) {
        Ok(path) => path.as_str(),
        Err(bad) => {
            tracing::warn!(%bad, "path refused");
            return malformed(TWO_READINGS);
        }
    };
    let host = match host_of(state, &request) {
        Ok(host) => host,
        Err(bad) => {
            tracing::warn!(%bad, "host refused");
            return malformed(ONE_HOST);
        }
    };
    let is_any_fine = ANY_HOST.contains(&path);
    match host {
        // HTTP/1.1 must have one (RFC 9112 section 3.2).
        None if request.version() == Version::HTTP_11 || !is_any_fine => {
            return malformed("there is no Host header");
        }
        Some(host) if !is_any_fine && !is_our_host(state, host) => {
            tracing::warn!(
                host = host.host(),
                "Host is not ours: BASE_URL names it, or allowed_hosts"
            );
            return refuse("this gateway is not reached by that host name");
        }
        _ => {}
    }
    let origin = request.headers().get(header::ORIGIN).cloned();
    let sharing = match &origin {
        None => None,
        Some(_) if is_open(path) => Some(HeaderValue::from_static("*")),
        Some(origin) if is_own_origin(state, origin) || is_hidden_own_origin(&request, origin) => {
            None
        }
        Some(origin) if is_allowed_origin(state, path, origin) => Some(origin.clone()),
        Some(origin) => {
            tracing::warn!(?origin, path, "Origin is not ours, nor in allowed_origins");
            return refuse("requests from that origin are not allowed");
        }
    };
    let is_preflight = request.method() == Method::OPTIONS
        && request.headers().contains_key("access-control-request-method");
    let wanted = request
        .headers()
        .get(header::ACCESS_CONTROL_REQUEST_HEADERS)
        .cloned()
        .filter(|_| is_preflight);
    let mut response = match &sharing {
        Some(_) if is_preflight => StatusCode::NO_CONTENT.into_response(),
        _ => harden(state, request).await,
    };
    if let Some(origin) = sharing {
        share(response.headers_mut(), origin, is_preflight, wanted.as_ref());
    }
    response
}

fn refuse(why: &str) -> Response {
    (StatusCode::FORBIDDEN, Json(json!({"error": "forbidden", "error_description": why})))
        .into_response()
}

fn malformed(why: &str) -> Response {
    (StatusCode::BAD_REQUEST, Json(json!({"error": "invalid_request", "error_description": why})))
        .into_response()
}

fn is_open(path: &str) -> bool {
    OPEN_TO_ALL_ORIGINS
        .iter()
        .any(|open| if open.ends_with('/') { path.starts_with(open) } else { path == *open })
}

/// The host that the request names.
fn host_of<'a>(state: &EdgeState, request: &'a Request) -> Result<Option<Authority<'a>>, BadHost> {
    let uri = request.uri();
    let target = (uri.scheme_str(), uri.authority().map(http::uri::Authority::as_str));
    let hosts = request.headers().get_all(header::HOST).iter().map(HeaderValue::as_bytes);
    agreed_host(target, hosts, state.public_url.is_https())
}

fn is_our_host(state: &EdgeState, host: Authority<'_>) -> bool {
    let is_https = state.public_url.is_https();
    let is_named = Authority::parse(state.public_url.authority())
        .is_some_and(|ours| host.is(ours, is_https))
        || state
            .admission
            .allowed_hosts
            .iter()
            .filter_map(|allowed| Authority::parse(allowed))
            .any(|allowed| {
                if allowed.port().is_some() {
                    host.is(allowed, is_https)
                } else {
                    host.is_host(allowed)
                }
            });
    // A loopback gateway is reached by any name of this machine: none of them can be rebound to
    // another one.
    is_named || (state.public_url.is_loopback() && is_loopback_name(host.host()))
}

fn is_loopback_name(name: &str) -> bool {
    ["localhost", "127.0.0.1", "[::1]"].iter().any(|loopback| name.eq_ignore_ascii_case(loopback))
}

fn is_own_origin(state: &EdgeState, origin: &HeaderValue) -> bool {
    origin.as_bytes().eq_ignore_ascii_case(state.public_url.origin().as_bytes())
}

/// A proxy in front may add `Referrer-Policy: no-referrer`, and then browsers send `Origin: null`
/// with our own forms. They say all the same that it is one of ours (`Sec-Fetch-Site`, which no
/// page can set); the form's own token is looked at as ever.
fn is_hidden_own_origin(request: &Request, origin: &HeaderValue) -> bool {
    let mut sites = request.headers().get_all("sec-fetch-site").iter();
    origin == "null"
        && sites.next().is_some_and(|site| site == "same-origin")
        && sites.next().is_none()
}

/// Other origins: those that are configured; and on a developer's machine every loopback origin,
/// but for the pages with cookies.
fn is_allowed_origin(state: &EdgeState, path: &str, origin: &HeaderValue) -> bool {
    let Ok(origin) = origin.to_str() else { return false };
    if state.admission.allowed_origins.iter().any(|allowed| allowed.eq_ignore_ascii_case(origin)) {
        return true;
    }
    let has_cookies = path == "/" || path.starts_with("/auth/");
    let is_local = Url::parse(origin).is_ok_and(|url| url.host_str().is_some_and(is_loopback_name));
    !has_cookies && state.public_url.is_loopback() && is_local
}

/// A preflight is told that it may send the headers of our revisions of MCP, and those that it
/// `wanted`: the mirrors of parameters (`Mcp-Param-…`) have names of their own, and pages trace
/// their requests. Nothing is given away by it: an origin that is told may read the answer anyway.
fn share(
    headers: &mut HeaderMap,
    origin: HeaderValue,
    is_preflight: bool,
    wanted: Option<&HeaderValue>,
) {
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    headers.append(header::VARY, HeaderValue::from_static("Origin"));
    headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(CORS_EXPOSED));
    if is_preflight {
        headers
            .insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static(CORS_METHODS));
        let wanted =
            wanted.map(HeaderValue::as_bytes).unwrap_or_default().split(|byte| *byte == b',');
        let wanted = wanted
            .filter_map(|name| HeaderName::from_bytes(name.trim_ascii()).ok())
            .take(CORS_WANTED);
        let allowed: Vec<String> = std::iter::once(CORS_HEADERS.to_owned())
            .chain(wanted.map(|name| name.to_string()))
            .collect();
        let allowed = HeaderValue::from_str(&allowed.join(", "))
            .unwrap_or(HeaderValue::from_static(CORS_HEADERS));
        headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, allowed);
        headers.append(header::VARY, HeaderValue::from_static("Access-Control-Request-Headers"));
        headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
    }
}

/// Headers on every answer.
async fn harden(state: &EdgeState, request: Request) -> Response {
    let mut response = ask(state, request).await;
    let headers = response.headers_mut();
    headers.entry(header::X_CONTENT_TYPE_OPTIONS).or_insert(HeaderValue::from_static("nosniff"));
    if state.public_url.is_https() {
        let year = HeaderValue::from_static("max-age=31536000");
        headers.entry(header::STRICT_TRANSPORT_SECURITY).or_insert(year);
    }
    response
}

/// The endpoint's answer, unless as many requests of its address as may be are under way, or too
/// many before it failed to prove themselves.
async fn ask(state: &EdgeState, mut request: Request) -> Response {
    let peer = request.extensions().get::<Peer>().copied();
    let block = AddressBlock::of(peer.map_or(IpAddr::from([0, 0, 0, 0]), |Peer(address)| address));
    let Some(permit) = state.requests.acquire(&block, 1, state.requests_per_address) else {
        tracing::info!(
            "as many requests of one address as may be are under way: limits.requests_per_address"
        );
        return answers::too_many(TooMany(Duration::from_secs(1)));
    };
    // A balancer is told how the gateway is, whatever can be recorded.
    let is_recorded = !ANY_HOST.contains(&request.uri().path());
    if is_recorded && state.audit.admit().await.is_err() {
        return answers::audit_full();
    }
    let permit = AddressPermit::new(permit);
    request.extensions_mut().insert(permit.clone());
    let response = match state.endpoints.clone().oneshot(request).await {
        Ok(response) => response,
        Err(never) => match never {},
    };
    permit.release();
    layer::failures(&state.throttle, peer, response)
}

#[cfg(test)]
mod tests;
