//! The headers of a proxied request and of its answer: what passes of them, and what we set
//! (threats 31, 33, 38, 61). Which of a client's may pass at all is
//! `portunus_core::request::headers`.

use http::{HeaderMap, HeaderName, HeaderValue, header};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use portunus_core::{
    request::{
        HeaderPattern,
        headers::{is_passed, withheld},
    },
    resource::PublicUrl,
};

use super::caller::Caller;

/// What a forwarded request says about itself.
pub(super) struct Outgoing<'a> {
    /// The target's own authority.
    pub(super) host: &'a str,
    /// The pattern without its trailing slash.
    pub(super) prefix: &'a str,
    pub(super) public_url: &'a PublicUrl,
    /// Headers that this route passes beside those that every route does.
    pub(super) passed: &'a [HeaderPattern],
    pub(super) caller: Caller<'a>,
}

impl Outgoing<'_> {
    /// Of the client's headers those that may pass, and ours. `None` when one of ours cannot be
    /// written.
    pub(super) fn headers(&self, received: HeaderMap) -> Option<HeaderMap> {
        let mut sent = passing(received, |name| self.passes(name.as_str()));
        let Caller { peer, principal, request_id } = self.caller;
        let scheme = if self.public_url.is_https() { "https" } else { "http" };
        let mut state = |name: &'static str, value: HeaderValue| {
            sent.insert(HeaderName::from_static(name), value)
        };
        state("host", HeaderValue::from_str(self.host).ok()?);
        state("x-forwarded-for", HeaderValue::from_str(&peer.to_string()).ok()?);
        state("x-forwarded-proto", HeaderValue::from_static(scheme));
        state("x-forwarded-host", HeaderValue::from_str(self.public_url.authority()).ok()?);
        state("x-forwarded-prefix", HeaderValue::from_str(self.prefix).ok()?);
        state("x-request-id", HeaderValue::from_str(&ascii(request_id)).ok()?);
        state("x-portunus-user", HeaderValue::from_str(&ascii(principal.user.as_str())).ok()?);
        state("x-portunus-client", HeaderValue::from_str(&ascii(principal.client.as_str())).ok()?);
        let groups =
            principal.groups.iter().map(|group| ascii(group)).collect::<Vec<_>>().join(",");
        state("x-portunus-groups", HeaderValue::from_str(&groups).ok()?);
        if let Some(email) = &principal.email {
            state("x-portunus-email", HeaderValue::from_str(&ascii(email)).ok()?);
        }
        Some(sent)
    }

    fn passes(&self, name: &str) -> bool {
        is_passed(name)
            || (self.passed.iter().any(|pattern| pattern.fits(name)) && withheld(name).is_none())
    }
}

/// Of the target's headers those that may pass, with `relocate` applied to `Location` and
/// `Content-Location`.
pub(super) fn incoming(
    received: HeaderMap,
    relocate: impl Fn(&str) -> Option<String>,
) -> HeaderMap {
    let mut passed = passing(received, |name| !is_hop_by_hop(name) && !is_kept_from_clients(name));
    for name in [header::LOCATION, header::CONTENT_LOCATION] {
        let rewritten = passed.get(&name).and_then(|value| value.to_str().ok()).and_then(&relocate);
        if let Some(value) = rewritten.and_then(|text| HeaderValue::from_str(&text).ok()) {
            passed.insert(name, value);
        }
    }
    // The answer is shown on our origin. Nothing in it may run there, should a browser ever be
    // brought to open it.
    passed.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    passed.append(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("sandbox"));
    passed
}

/// Java's HTTP client offers `Upgrade: h2c` with every first request, and is content to be ignored.
/// A websocket cannot be.
pub(super) fn asks_for_websocket(headers: &HeaderMap) -> bool {
    let mut offers = headers.get_all(header::UPGRADE).iter();
    offers.any(|value| {
        value.to_str().map_or(true, |text| text.to_ascii_lowercase().contains("websocket"))
    })
}

/// The headers for which `keep` holds and that `Connection` does not name.
fn passing(headers: HeaderMap, keep: impl Fn(&HeaderName) -> bool) -> HeaderMap {
    let named: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|text| text.split(','))
        .filter_map(|token| HeaderName::try_from(token.trim()).ok())
        .collect();
    let mut passed = HeaderMap::with_capacity(headers.len() + 8);
    let mut current: Option<HeaderName> = None;
    for (name, value) in headers {
        // A name stands at the first of its values only.
        if let Some(name) = name {
            current = (keep(&name) && !named.contains(&name)).then_some(name);
        }
        if let Some(name) = &current {
            passed.append(name.clone(), value);
        }
    }
    passed
}

/// Means something to this connection only (RFC 9110 section 7.6.1). `Content-Length` is among them
/// because the length of the forwarded body is told by the body itself: one source, nothing to
/// smuggle with.
fn is_hop_by_hop(name: &HeaderName) -> bool {
    matches!(
        name.as_str(),
        "connection"
            | "content-length"
            | "expect"
            | "http2-settings"
            | "keep-alive"
            | "proxy-authenticate"
            | "proxy-authentication-info"
            | "proxy-authorization"
            | "proxy-connection"
            | "te"
            | "trailer"
            | "transfer-encoding"
            | "upgrade"
    )
}

/// Never reaches a client from a target: what speaks for our whole origin or for the connection to
/// us, and what servers in front of us act upon. Cookies would land beside our login cookie, and
/// never come back to the target anyway; cross-origin access is the edge's to grant; browsers keep
/// policies and reports for all paths of an origin.
fn is_kept_from_clients(name: &HeaderName) -> bool {
    let name = name.as_str();
    matches!(
        name,
        "accept-ch"
            | "activate-storage-access"
            | "alt-svc"
            | "authentication-info"
            | "clear-site-data"
            | "critical-ch"
            | "expect-ct"
            | "forwarded"
            | "nel"
            | "origin-agent-cluster"
            | "public-key-pins"
            | "public-key-pins-report-only"
            | "refresh"
            | "report-to"
            | "reporting-endpoints"
            | "service-worker-allowed"
            | "set-cookie"
            | "set-cookie2"
            | "set-login"
            | "speculation-rules"
            | "strict-transport-security"
            | "use-as-dictionary"
            | "www-authenticate"
            | "x-lighttpd-send-file"
            | "x-litespeed-location"
            | "x-reproxy-url"
            | "x-request-id"
    ) || (name.starts_with("x-accel-") && name != "x-accel-buffering")
        || ["access-control-", "portunus-", "proxy-", "sec-session-", "x-portunus-", "x-sendfile"]
            .iter()
            .any(|start| name.starts_with(start))
}

/// Of ASCII: what is not visible, what separates and what encodes.
const ENCODED: &AsciiSet = &CONTROLS.add(b' ').add(b',').add(b'%');

/// Visible ASCII stays; the rest, and what separates or encodes (`,`, `%`), is percent-encoded.
fn ascii(text: &str) -> String {
    utf8_percent_encode(text, ENCODED).to_string()
}
