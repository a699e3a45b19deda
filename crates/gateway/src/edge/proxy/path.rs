//! How paths are rewritten: pattern off, target's base path on, and back again for `Location`. What
//! is authorised, matched and forwarded is one and the same spelling: [`PlainPath`] has no other
//! (threats 39, 60).

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use http::Uri;
use portunus_core::{
    request::{BadPath, PlainPath},
    resource::PublicUrl,
};
use thiserror::Error;
use url::Url;

/// Why a path is not forwarded: always 400.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(super) enum NotForwarded {
    #[error(transparent)]
    Path(#[from] BadPath),
    #[error("the path is not below its pattern")]
    Outside,
    #[error("the path is too long for the target")]
    TooLong,
}

/// One route's rewriting.
#[derive(Clone, Debug)]
pub(super) struct Rewrite {
    /// Starts and ends with a slash.
    pattern: String,
    scheme: String,
    authority: String,
    /// The target's own path, without a trailing slash.
    base: String,
    target: Url,
    /// Has the log been told of an address outside of the route?
    is_told: Arc<AtomicBool>,
}

impl Rewrite {
    pub(super) fn new(pattern: &str, target: &Url) -> Self {
        let authority = match (target.host_str(), target.port()) {
            (Some(host), Some(port)) => format!("{host}:{port}"),
            (host, _) => host.unwrap_or_default().to_owned(),
        };
        Self {
            pattern: pattern.to_owned(),
            scheme: target.scheme().to_owned(),
            authority,
            base: target.path().trim_end_matches('/').to_owned(),
            target: target.clone(),
            is_told: Arc::default(),
        }
    }

    pub(super) fn pattern(&self) -> &str {
        &self.pattern
    }

    /// The pattern without its trailing slash.
    pub(super) fn prefix(&self) -> &str {
        self.pattern.trim_end_matches('/')
    }

    pub(super) fn authority(&self) -> &str {
        &self.authority
    }

    /// The target's URI for a request of ours: the pattern off, the rest of path and query byte for
    /// byte.
    pub(super) fn outgoing(&self, uri: &Uri) -> Result<Uri, NotForwarded> {
        let path = PlainPath::parse(uri.path())?.as_str();
        let rest = match path.strip_prefix(&self.pattern) {
            Some(rest) => rest,
            None if path == self.prefix() => "",
            None => return Err(NotForwarded::Outside),
        };
        let mut path_and_query = String::with_capacity(
            self.base.len() + 1 + rest.len() + uri.query().map_or(0, |q| q.len() + 1),
        );
        path_and_query.push_str(&self.base);
        path_and_query.push('/');
        path_and_query.push_str(rest);
        if let Some(query) = uri.query() {
            path_and_query.push('?');
            path_and_query.push_str(query);
        }
        Uri::builder()
            .scheme(self.scheme.as_str())
            .authority(self.authority.as_str())
            .path_and_query(path_and_query)
            .build()
            .map_err(|_| NotForwarded::TooLong)
    }

    /// A `Location` of the target, as the client must see it: what points at the target points
    /// below our pattern. `None` leaves it as it is: another site, or relative to the page it came
    /// from.
    pub(super) fn incoming(&self, location: &str, public_url: &PublicUrl) -> Option<String> {
        let is_path = location.starts_with('/');
        if !is_path && Url::parse(location).is_err() {
            return None;
        }
        let url = self.target.join(location).ok()?;
        if url.origin() != self.target.origin()
            || !url.username().is_empty()
            || url.password().is_some()
        {
            return None;
        }
        let below = url
            .path()
            .strip_prefix(&self.base)
            .filter(|rest| rest.is_empty() || rest.starts_with('/'))?;
        let rest = below.trim_start_matches('/');
        let mut rewritten = if is_path { String::new() } else { public_url.as_str().to_owned() };
        rewritten.push_str(&self.pattern);
        rewritten.push_str(rest);
        for (mark, part) in [('?', url.query()), ('#', url.fragment())] {
            if let Some(part) = part {
                rewritten.push(mark);
                rewritten.push_str(part);
            }
        }
        Some(rewritten)
    }

    /// The address to which a server on HTTP+SSE sends its client, as [`Rewrite::incoming`] does
    /// it. One below the pattern stays: the server has heard of `X-Forwarded-Prefix`. One that
    /// leads out of the route is written to the log, for its client cannot follow it.
    pub(super) fn endpoint(&self, address: &str, public_url: &PublicUrl) -> Option<String> {
        if address.starts_with(&self.pattern) {
            return None;
        }
        let rewritten = self.incoming(address, public_url);
        if rewritten.is_none() && (address.starts_with('/') || Url::parse(address).is_ok()) {
            self.warn_once(address);
        }
        rewritten
    }

    /// The query is the client's secret at that server.
    fn warn_once(&self, address: &str) {
        if !self.is_told.swap(true, Ordering::Relaxed) {
            let (pattern, address) =
                (&self.pattern, address.split(['?', '#']).next().unwrap_or_default());
            tracing::warn!(
                pattern,
                address,
                "the server sends its clients to an address that is not behind this route, where they cannot follow"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pattern_goes_and_the_rest_stays() {
        let cases = [
            ("http://localhost:3000", "/mcp/dice/mcp", Ok("http://localhost:3000/mcp")),
            ("http://localhost:3000", "/mcp/dice/", Ok("http://localhost:3000/")),
            ("http://localhost:3000", "/mcp/dice", Ok("http://localhost:3000/")),
            (
                "http://localhost:3000",
                "/mcp/dice/a%20b/?x='%2F..&y={1}|",
                Ok("http://localhost:3000/a%20b/?x='%2F..&y={1}|"),
            ),
            ("http://localhost:3000", "/mcp/dice/x?", Ok("http://localhost:3000/x?")),
            ("https://t.example/base", "/mcp/dice/mcp", Ok("https://t.example/base/mcp")),
            ("http://[::1]:9", "/mcp/dice/mcp", Ok("http://[::1]:9/mcp")),
            ("http://localhost:3000", "/mcp/dicey/mcp", Err(NotForwarded::Outside)),
            (
                "http://localhost:3000",
                "/mcp/dice/../uuid",
                Err(NotForwarded::Path(BadPath::DotSegment)),
            ),
            (
                "http://localhost:3000",
                "/mcp/dice/%61",
                Err(NotForwarded::Path(BadPath::Unreserved)),
            ),
            (
                "http://localhost:3000",
                "http://evil.example/mcp/dice/mcp",
                Ok("http://localhost:3000/mcp"),
            ),
        ];
        for (target, asked, expected) in cases {
            let rewrite = Rewrite::new("/mcp/dice/", &Url::parse(target).unwrap());
            let uri = rewrite.outgoing(&asked.parse().unwrap()).map(|uri| uri.to_string());
            assert_eq!(uri.as_deref(), expected.as_ref().map(|text| *text), "{asked}");
        }
    }

    #[test]
    fn fb51_addresses_of_endpoints_come_below_the_pattern() {
        let public = PublicUrl::parse("https://gw.example").unwrap();
        let cases = [
            ("http://t:3000", "/messages?sessionId=1", Some("/mcp/dice/messages?sessionId=1")),
            (
                "http://t:3000",
                "http://t:3000/messages",
                Some("https://gw.example/mcp/dice/messages"),
            ),
            ("http://t/base", "/base/messages/", Some("/mcp/dice/messages/")),
            ("http://t:3000", "/mcp/dice/messages", None),
            ("http://t:3000", "messages?sessionId=1", None),
            ("http://t:3000", "?sessionId=1", None),
            ("http://t:3000", "https://gw.example/mcp/dice/messages", None),
            ("http://t/base", "/other", None),
        ];
        for (target, address, expected) in cases {
            let rewrite = Rewrite::new("/mcp/dice/", &Url::parse(target).unwrap());
            assert_eq!(
                rewrite.endpoint(address, &public).as_deref(),
                expected,
                "{target} {address}"
            );
        }
    }

    #[test]
    fn locations_come_back_below_the_pattern() {
        let public = PublicUrl::parse("https://gw.example").unwrap();
        let cases = [
            ("http://t:3000", "/mcp/", Some("/mcp/dice/mcp/")),
            ("http://t:3000", "/mcp?a=1#f", Some("/mcp/dice/mcp?a=1#f")),
            ("http://t:3000", "http://t:3000/mcp", Some("https://gw.example/mcp/dice/mcp")),
            ("http://t:3000", "http://t:3000", Some("https://gw.example/mcp/dice/")),
            ("http://t:3000", "http://t:3001/mcp", None),
            ("http://t:3000", "https://t:3000/mcp", None),
            ("http://t:3000", "//evil/x", None),
            ("http://t:3000", "mcp/", None),
            ("http://t/base", "/base/x", Some("/mcp/dice/x")),
            ("http://t/base", "/other", None),
            ("http://t/base", "/basement", None),
            ("http://t:3000", "/\\evil/x", None),
            ("http://t:3000", "http://u@t:3000/x", None),
            ("http://t:3000", "/a/../b", Some("/mcp/dice/b")),
        ];
        for (target, location, expected) in cases {
            let rewrite = Rewrite::new("/mcp/dice/", &Url::parse(target).unwrap());
            assert_eq!(
                rewrite.incoming(location, &public).as_deref(),
                expected,
                "{target} {location}"
            );
        }
    }
}
