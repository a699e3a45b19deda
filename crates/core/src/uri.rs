//! URIs of strangers, read strictly by the string (RFC 3986) and not as a browser would read them:
//! [`StrictUri`]. Addresses are compared as strings, and browsers repair what they are given, so a
//! spelling that a browser would change is refused. Which schemes and hosts may be used where is
//! decided in [`crate::redirect`] and [`crate::oauth::client_metadata`].

use thiserror::Error;
use url::Url;

/// The parts of a URI, as they are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StrictUri<'a> {
    /// In small letters.
    pub scheme: &'a str,
    /// What stands after `//`; `None` for a URI without one, such as `com.example.app:/cb`.
    pub authority: Option<Authority<'a>>,
    /// Empty, or begins with a slash.
    pub path: &'a str,
    pub query: Option<&'a str>,
}

/// Host and port of a URI (RFC 3986 section 3.2). There is no user name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Authority<'a> {
    /// A name or an address; IPv6 within brackets. Empty only where the scheme is none of the
    /// web's.
    pub host: &'a str,
    pub port: Option<u16>,
}

/// Why a text is no URI that is taken. The texts are meant for the client's developer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum BadUri {
    #[error("not an absolute URI")]
    NotAUri,
    #[error("has a character that must be percent-encoded, or a `%` that encodes nothing")]
    Characters,
    #[error("must not have a fragment")]
    Fragment,
    #[error("must not have a user name or password")]
    Userinfo,
    #[error("the scheme must be written in small letters")]
    SchemeCase,
    #[error("must have `//` and a host after https: or http:, and a slash after any other scheme")]
    NoAuthority,
    #[error(
        "the host must be a name in small letters or an address in its usual form, without a dot at its end"
    )]
    Host,
    #[error("the port must be a number from 1 to 65535, without zeros before it")]
    Port,
    #[error("must not have . or .. in its path")]
    DotSegment,
}

impl<'a> StrictUri<'a> {
    /// Reads an absolute URI without a fragment.
    pub fn parse(text: &'a str) -> Result<Self, BadUri> {
        if !has_uri_characters(text) {
            return Err(BadUri::Characters);
        }
        let (scheme, rest) =
            text.split_once(':').filter(|(scheme, _)| is_scheme(scheme)).ok_or(BadUri::NotAUri)?;
        if text.contains('#') {
            return Err(BadUri::Fragment);
        }
        if scheme.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return Err(BadUri::SchemeCase);
        }
        let (hierarchy, query) = match rest.split_once('?') {
            Some((hierarchy, query)) => (hierarchy, Some(query)),
            None => (rest, None),
        };
        let (authority, path) = match hierarchy.strip_prefix("//") {
            Some(after) => {
                let (authority, path) = after.split_at(after.find('/').unwrap_or(after.len()));
                (Some(Authority::parse(authority, is_web(scheme))?), path)
            }
            None => (None, hierarchy),
        };
        let uri = Self { scheme, authority, path, query };
        uri.check(text)?;
        Ok(uri)
    }

    /// Is it an address of the web?
    pub fn is_web(&self) -> bool {
        is_web(self.scheme)
    }

    /// The host; empty where there is none.
    pub fn host(&self) -> &'a str {
        self.authority.map_or("", |authority| authority.host)
    }

    fn check(&self, text: &str) -> Result<(), BadUri> {
        if self.path.contains(['[', ']'])
            || self.query.is_some_and(|query| query.contains(['[', ']']))
        {
            return Err(BadUri::Characters);
        }
        if has_dot_segment(self.path) {
            return Err(BadUri::DotSegment);
        }
        if !self.is_web() {
            let is_hierarchical = self.authority.is_some() || self.path.starts_with('/');
            return if is_hierarchical { Ok(()) } else { Err(BadUri::NoAuthority) };
        }
        if self.authority.is_none()
            || (self.host().is_empty() && self.authority.is_some_and(|it| it.port.is_none()))
        {
            return Err(BadUri::NoAuthority);
        }
        // What a browser makes of the host is the host that was read here: no number, no other
        // spelling of an address.
        let url = Url::parse(text).map_err(|_| BadUri::Host)?;
        if url.host_str() == Some(self.host()) { Ok(()) } else { Err(BadUri::Host) }
    }
}

impl<'a> Authority<'a> {
    fn parse(text: &'a str, is_web: bool) -> Result<Self, BadUri> {
        if text.contains('@') {
            return Err(BadUri::Userinfo);
        }
        let end_of_host = match text.find(']') {
            Some(bracket) if text.starts_with('[') => bracket + 1,
            _ => text.find(':').unwrap_or(text.len()),
        };
        let (host, after) = text.split_at(end_of_host);
        let is_address = host.starts_with('[');
        if !is_address && !host.is_empty() && !is_name(host, is_web) {
            return Err(BadUri::Host);
        }
        if is_address
            && host[1..]
                .strip_suffix(']')
                .is_none_or(|inner| inner.parse::<std::net::Ipv6Addr>().is_err())
        {
            return Err(BadUri::Host);
        }
        let port = match after.strip_prefix(':') {
            Some(digits) => Some(port(digits)?),
            None if after.is_empty() => None,
            None => return Err(BadUri::Host),
        };
        Ok(Self { host, port })
    }
}

/// The characters of RFC 3986, and `%` only before two hexadecimal digits.
fn has_uri_characters(text: &str) -> bool {
    let is_plain =
        |byte: u8| byte.is_ascii_alphanumeric() || b"-._~:/?#[]@!$&'()*+,;=".contains(&byte);
    let bytes = text.as_bytes();
    (0..bytes.len()).all(|at| match bytes[at] {
        b'%' => {
            bytes.get(at + 1..at + 3).is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
        }
        byte => is_plain(byte),
    })
}

/// RFC 3986 section 3.1, in any case of letters.
fn is_scheme(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'))
}

fn is_web(scheme: &str) -> bool {
    matches!(scheme, "http" | "https")
}

/// A name of labels with dots between, or an IPv4 address. Nothing in it is percent-encoded.
/// Browsers turn a host of the web into small letters, and leave any other as it is.
fn is_name(host: &str, is_web: bool) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
            && !(is_web && label.bytes().any(|byte| byte.is_ascii_uppercase()))
    };
    host.len() <= 253 && host.split('.').all(is_label)
}

fn port(digits: &str) -> Result<u16, BadUri> {
    let is_plain = !digits.starts_with('0') && digits.bytes().all(|byte| byte.is_ascii_digit());
    digits.parse().ok().filter(|port| is_plain && *port > 0).ok_or(BadUri::Port)
}

/// Browsers take dot segments out, percent-encoded ones too.
fn has_dot_segment(path: &str) -> bool {
    path.split('/')
        .any(|segment| matches!(&*segment.to_ascii_lowercase().replace("%2e", "."), "." | ".."))
}

#[cfg(test)]
mod tests;
