//! Which headers of a client's request may go on to a proxied target (threats 31, 33, 38 and 61):
//! those of [`is_passed`], those that the route's configuration names ([`HeaderPattern`]), and
//! never those of [`withheld`]. An allow-list, because every product that checks who calls tells
//! its applications so in headers of its own, and a target that trusts one of them must not get it
//! from a stranger.
//!
//! Names are in small letters, as HTTP/2 has them.

use thiserror::Error;

/// Passed on every route: what the body is and which answer is wanted, conditions and ranges, MCP,
/// traces.
const PASSED: &[&str] = &[
    "accept",
    "accept-charset",
    "accept-encoding",
    "accept-language",
    "baggage",
    "cache-control",
    "content-digest",
    "content-disposition",
    "content-encoding",
    "content-language",
    "content-range",
    "content-type",
    "idempotency-key",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-range",
    "if-unmodified-since",
    "last-event-id",
    "mcp-*",
    "pragma",
    "prefer",
    "range",
    "repr-digest",
    "traceparent",
    "tracestate",
    "user-agent",
    "want-content-digest",
    "want-repr-digest",
];

/// Why a header never reaches a target from a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Withheld {
    Connection,
    Credential,
    Identity,
    Origin,
    Override,
    Ours,
    Underscore,
}

impl Withheld {
    pub const fn why(self) -> &'static str {
        match self {
            Self::Connection => {
                "it is about the client's connection to the gateway, which ends here"
            }
            Self::Credential => "it is what callers prove themselves to the gateway with",
            Self::Identity => {
                "it says who is calling, and a client can write any name into it: the gateway says who it is in X-Portunus-User"
            }
            Self::Origin => "it says where a request came from, which the gateway does itself",
            Self::Override => "it asks for another path or method than the ones that were checked",
            Self::Ours => "the gateway sets it",
            Self::Underscore => {
                "many servers take an underscore for a dash: it would be another header there"
            }
        }
    }
}

/// Never passed, whatever a route names. Identity headers are listed so that no route passes one by
/// mistake; those that are missing here are not passed either, unless a route names them.
const WITHHELD: &[(Withheld, &[&str])] = &[
    (
        Withheld::Connection,
        &[
            "connection",
            "content-length",
            "early-data",
            "expect",
            "http2-settings",
            "keep-alive",
            "sec-websocket-*",
            "te",
            "trailer",
            "transfer-encoding",
            "upgrade",
        ],
    ),
    (
        Withheld::Credential,
        &["authorization", "cookie", "cookie2", "proxy-*", "dpop", "x-serverless-authorization"],
    ),
    (
        Withheld::Identity,
        &[
            "cf-*",
            "client-cert",
            "client-cert-chain",
            "fly-*",
            "gap-auth",
            "gap-upstream-address",
            "impersonate-*",
            "iv-*",
            "oam-*",
            "oidc-*",
            "remote-*",
            "sm-*",
            "ssl-*",
            "tailscale-*",
            "teleport-*",
            "x-amzn-mtls-*",
            "x-amzn-oidc-*",
            "x-anonymous-consumer",
            "x-apigateway-*",
            "x-appengine-*",
            "x-arr-*",
            "x-auth-email",
            "x-auth-groups",
            "x-auth-name",
            "x-auth-request-*",
            "x-auth-roles",
            "x-auth-subject",
            "x-auth-user*",
            "x-authenticated-*",
            "x-authentik-*",
            "x-client-cert*",
            "x-client-dn",
            "x-client-verify",
            "x-consumer-*",
            "x-credential-*",
            "x-goog-*",
            "x-id-token",
            "x-jwt-*",
            "x-ms-client-*",
            "x-ms-token-*",
            "x-pomerium-*",
            "x-proxy-user*",
            "x-remote-*",
            "x-spiffe-*",
            "x-ssl-*",
            "x-tls-*",
            "x-user",
            "x-user-email",
            "x-user-groups",
            "x-user-id",
            "x-user-name",
            "x-user-roles",
            "x-userinfo",
            "x-username",
            "x-vouch-*",
            "x-webauth-*",
        ],
    ),
    (
        Withheld::Origin,
        &[
            "access-control-request-*",
            "client-ip",
            "fastly-client-ip",
            "forwarded",
            "forwarded-*",
            "host",
            "origin",
            "true-client-ip",
            "via",
            "wl-proxy-*",
            "x-azure-clientip",
            "x-azure-socketip",
            "x-client-ip",
            "x-cluster-client-ip",
            "x-envoy-*",
            "x-forwarded",
            "x-forwarded-*",
            "x-host",
            "x-originating-*",
            "x-proxyuser-*",
            "x-real-*",
        ],
    ),
    (
        Withheld::Override,
        &[
            "x-accel-*",
            "x-http-method",
            "x-http-method-override",
            "x-method-override",
            "x-original-*",
            "x-override-url",
            "x-rewrite-url",
        ],
    ),
    (Withheld::Ours, &["portunus-*", "x-portunus-*", "x-request-id"]),
];

/// Is a header of this name passed on every route?
pub fn is_passed(name: &str) -> bool {
    PASSED.iter().any(|pattern| fits(pattern, name)) && withheld(name).is_none()
}

/// Why a header of this name is passed on no route; `None` if a route may pass it.
pub fn withheld(name: &str) -> Option<Withheld> {
    if name.contains('_') {
        return Some(Withheld::Underscore);
    }
    let found =
        WITHHELD.iter().find(|(_, patterns)| patterns.iter().any(|pattern| fits(pattern, name)));
    found.map(|(why, _)| *why)
}

fn fits(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(start) => name.starts_with(start),
        None => name == pattern,
    }
}

/// Names of headers that a route passes: one, or all that start alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderPattern(String);

/// Why a text names no headers that may be passed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum BadHeaderPattern {
    #[error(
        "the name of a header, such as X-Acme-Tenant, or the start of one and a `*`, such as X-Acme-*"
    )]
    Name,
    #[error("another header: {0} is never passed, for {why}", why = .1.why())]
    Withheld(String, Withheld),
    #[error("a longer start: this one fits {0}, which is never passed, for {why}", why = .1.why())]
    TooWide(&'static str, Withheld),
}

impl HeaderPattern {
    /// In any case of letters; a `*` at the end stands for the rest of the name.
    pub fn parse(text: &str) -> Result<Self, BadHeaderPattern> {
        let lower = text.to_ascii_lowercase();
        let start = lower.strip_suffix('*').unwrap_or(&lower);
        let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'+-.^`|~_".contains(&byte);
        if (start.is_empty() && lower != "*") || !start.bytes().all(is_token) {
            return Err(BadHeaderPattern::Name);
        }
        if let Some(why) = withheld(start) {
            return Err(BadHeaderPattern::Withheld(text.to_owned(), why));
        }
        if start.len() < lower.len() {
            let mut names = WITHHELD
                .iter()
                .flat_map(|(why, names)| names.iter().map(move |name| (*why, *name)));
            if let Some((why, name)) = names.find(|(_, name)| name.starts_with(start)) {
                return Err(BadHeaderPattern::TooWide(name, why));
            }
        }
        Ok(Self(lower))
    }

    pub fn fits(&self, name: &str) -> bool {
        fits(&self.0, name)
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests;
