//! Which paths are fit to forward (threat 39), and how they are rewritten: pattern off, target's base path on, and back again for
//! `Location`. What is authorised, matched and forwarded is one and the same spelling, because a path that a server might read
//! as another one is refused.

use http::Uri;
use portunus_core::resource::PublicUrl;
use thiserror::Error;
use url::Url;

/// Why a path is refused: always 400.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum BadPath {
    #[error("the path has a dot segment")]
    DotSegment,
    #[error("the path has an empty segment")]
    EmptySegment,
    #[error("the path has a character that servers read differently")]
    Character,
    #[error("the path has an encoded separator, dot, percent sign or control character")]
    Encoded,
    #[error("the path has a bad percent-encoding")]
    Encoding,
    #[error("the path is not below its pattern")]
    Outside,
    #[error("the path is too long for the target")]
    TooLong,
}

/// Accepts a path that every server reads the same way. Refused are `.` and `..` segments, empty segments, `;` (path
/// parameters), `\`, anything but visible ASCII, and the encoded forms of dot, slash, backslash, semicolon, percent sign
/// (doubly encoded whatever) and control characters.
pub fn check_path(path: &str) -> Result<(), BadPath> {
    let mut bytes = path.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'%' => {
                let digits = (bytes.next().and_then(hex), bytes.next().and_then(hex));
                let (Some(high), Some(low)) = digits else { return Err(BadPath::Encoding) };
                if matches!(high << 4 | low, 0..=0x1F | 0x7F | b'.' | b'/' | b'\\' | b';' | b'%') {
                    return Err(BadPath::Encoded);
                }
            }
            b';' | b'\\' | b'#' | b'?' => return Err(BadPath::Character),
            b'!'..=b'~' => {}
            _ => return Err(BadPath::Character),
        }
    }
    let mut segments = path.strip_prefix('/').ok_or(BadPath::Outside)?.split('/').peekable();
    while let Some(segment) = segments.next() {
        match segment {
            "." | ".." => return Err(BadPath::DotSegment),
            "" if segments.peek().is_some() => return Err(BadPath::EmptySegment),
            _ => {}
        }
    }
    Ok(())
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
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

    /// The target's URI for a request of ours: the pattern off, the rest of path and query byte for byte.
    pub(super) fn outgoing(&self, uri: &Uri) -> Result<Uri, BadPath> {
        let path = uri.path();
        check_path(path)?;
        let rest = match path.strip_prefix(&self.pattern) {
            Some(rest) => rest,
            None if path == self.prefix() => "",
            None => return Err(BadPath::Outside),
        };
        let mut path_and_query = String::with_capacity(self.base.len() + 1 + rest.len() + uri.query().map_or(0, |q| q.len() + 1));
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
            .map_err(|_| BadPath::TooLong)
    }

    /// A `Location` of the target, as the client must see it: what points at the target points below our pattern. `None`
    /// leaves it as it is: another site, or relative to the page it came from.
    pub(super) fn incoming(&self, location: &str, public_url: &PublicUrl) -> Option<String> {
        let is_path = location.starts_with('/');
        if !is_path && Url::parse(location).is_err() {
            return None;
        }
        let url = self.target.join(location).ok()?;
        if url.origin() != self.target.origin() || !url.username().is_empty() || url.password().is_some() {
            return None;
        }
        let below = url.path().strip_prefix(&self.base).filter(|rest| rest.is_empty() || rest.starts_with('/'))?;
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
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_that_servers_could_read_differently_are_refused() {
        let cases = [
            ("/mcp/dice/", Ok(())),
            ("/mcp/dice/mcp", Ok(())),
            ("/mcp/dice/a.b/...x/..y", Ok(())),
            ("/mcp/dice/%20%C3%A9%3Aok", Ok(())),
            ("/mcp/dice/a@b:c,d=e+f!$&'()*~", Ok(())),
            ("/mcp/dice/../admin", Err(BadPath::DotSegment)),
            ("/mcp/dice/..", Err(BadPath::DotSegment)),
            ("/mcp/dice/./x", Err(BadPath::DotSegment)),
            ("/mcp/dice//x", Err(BadPath::EmptySegment)),
            ("//evil.example/x", Err(BadPath::EmptySegment)),
            ("/mcp/dice/%2e%2e/admin", Err(BadPath::Encoded)),
            ("/mcp/dice/%2E./admin", Err(BadPath::Encoded)),
            ("/mcp/dice/..%2fadmin", Err(BadPath::Encoded)),
            ("/mcp/dice/a%2Fb", Err(BadPath::Encoded)),
            ("/mcp/dice/a%5cb", Err(BadPath::Encoded)),
            ("/mcp/dice/%252e%252e/", Err(BadPath::Encoded)),
            ("/mcp/dice/%25252e", Err(BadPath::Encoded)),
            ("/mcp/dice/%3bx", Err(BadPath::Encoded)),
            ("/mcp/dice/%00", Err(BadPath::Encoded)),
            ("/mcp/dice/%0d%0aX:y", Err(BadPath::Encoded)),
            ("/mcp/dice/a;b=c", Err(BadPath::Character)),
            ("/mcp/dice/..;/admin", Err(BadPath::Character)),
            ("/mcp/dice/a\\b", Err(BadPath::Character)),
            ("/mcp/dice/a\0b", Err(BadPath::Character)),
            ("/mcp/dice/é", Err(BadPath::Character)),
            ("/mcp/dice/a b", Err(BadPath::Character)),
            ("/mcp/dice/%", Err(BadPath::Encoding)),
            ("/mcp/dice/%2", Err(BadPath::Encoding)),
            ("/mcp/dice/%zz", Err(BadPath::Encoding)),
            ("/mcp/dice/%u002e", Err(BadPath::Encoding)),
            ("", Err(BadPath::Outside)),
            ("*", Err(BadPath::Outside)),
            ("mcp", Err(BadPath::Outside)),
        ];
        for (path, expected) in cases {
            assert_eq!(check_path(path), expected, "{path:?}");
        }
    }

    #[test]
    fn the_pattern_goes_and_the_rest_stays() {
        let cases = [
            ("http://localhost:3000", "/mcp/dice/mcp", Ok("http://localhost:3000/mcp")),
            ("http://localhost:3000", "/mcp/dice/", Ok("http://localhost:3000/")),
            ("http://localhost:3000", "/mcp/dice", Ok("http://localhost:3000/")),
            ("http://localhost:3000", "/mcp/dice/a%20b/?x='%2F..&y={1}|", Ok("http://localhost:3000/a%20b/?x='%2F..&y={1}|")),
            ("http://localhost:3000", "/mcp/dice/x?", Ok("http://localhost:3000/x?")),
            ("https://t.example/base", "/mcp/dice/mcp", Ok("https://t.example/base/mcp")),
            ("http://[::1]:9", "/mcp/dice/mcp", Ok("http://[::1]:9/mcp")),
            ("http://localhost:3000", "/mcp/dicey/mcp", Err(BadPath::Outside)),
            ("http://localhost:3000", "/mcp/dice/../uuid", Err(BadPath::DotSegment)),
            ("http://localhost:3000", "http://evil.example/mcp/dice/mcp", Ok("http://localhost:3000/mcp")),
        ];
        for (target, asked, expected) in cases {
            let rewrite = Rewrite::new("/mcp/dice/", &Url::parse(target).unwrap());
            let uri = rewrite.outgoing(&asked.parse().unwrap()).map(|uri| uri.to_string());
            assert_eq!(uri.as_deref(), expected.as_ref().map(|text| *text), "{asked}");
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
            assert_eq!(rewrite.incoming(location, &public).as_deref(), expected, "{target} {location}");
        }
    }
}
