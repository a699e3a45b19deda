//! Which host a request names (threat 65). The target of a request, which is its absolute form or
//! `:authority`, wins over `Host` (RFC 9112 section 3.2.2, RFC 9113 section 8.3.1); a request in
//! which the two differ is refused, for a server in front of us may have judged it by the other
//! one. Which hosts are ours is the edge's to say.

use std::net::Ipv6Addr;

use thiserror::Error;

/// Why a request names no host: always 400.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum BadHost {
    #[error("the request has more than one Host")]
    Several,
    #[error("the request's host is not a host name or address with an optional port")]
    Invalid,
    #[error("the request's target names another host than its Host does")]
    Differs,
    #[error("the request's target is neither http nor https")]
    Scheme,
}

/// A host and its port, if one is written. Hosts compare without regard to case, IPv6 addresses by
/// value.
#[derive(Clone, Copy, Debug)]
pub struct Authority<'a> {
    host: &'a str,
    port: Option<u16>,
}

impl<'a> Authority<'a> {
    /// `host[:port]` (RFC 9110 section 7.2): a name of letters, digits, `-`, `_`, `.`, or an IP
    /// address; no user name. A port may be empty.
    pub fn parse(text: &'a str) -> Option<Self> {
        let (host, port) = if let Some(rest) = text.strip_prefix('[') {
            let (address, port) = rest.split_once(']')?;
            address.parse::<Ipv6Addr>().ok()?;
            (&text[..address.len() + 2], port)
        } else {
            let (host, port) = text.split_at(text.find(':').unwrap_or(text.len()));
            let is_name =
                |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
            if host.is_empty() || !host.bytes().all(is_name) {
                return None;
            }
            (host, port)
        };
        let port = match port.strip_prefix(':') {
            None if port.is_empty() => None,
            None => return None,
            Some("") => None,
            Some(digits) => Some(parse_port(digits)?),
        };
        Some(Self { host, port })
    }

    /// The host as it is written, an IPv6 address in its brackets.
    pub const fn host(self) -> &'a str {
        self.host
    }

    pub const fn port(self) -> Option<u16> {
        self.port
    }

    /// The same host, and the same port where one that is not written is the scheme's own (RFC 9110
    /// section 4.2.3).
    pub fn is(self, other: Authority<'_>, is_https: bool) -> bool {
        let default = if is_https { 443 } else { 80 };
        self.port.unwrap_or(default) == other.port.unwrap_or(default) && self.is_host(other)
    }

    /// The same host, whatever the port.
    pub fn is_host(self, other: Authority<'_>) -> bool {
        let address =
            |host: &str| host.strip_prefix('[')?.strip_suffix(']')?.parse::<Ipv6Addr>().ok();
        self.host.eq_ignore_ascii_case(other.host)
            || address(self.host)
                .is_some_and(|one| address(other.host).is_some_and(|other| one == other))
    }
}

fn parse_port(digits: &str) -> Option<u16> {
    let is_plain = digits.bytes().all(|byte| byte.is_ascii_digit()) && !digits.starts_with('0');
    digits.parse().ok().filter(|_| is_plain)
}

/// The host that a request names; `None` if it names none. `target` is scheme and authority of its
/// target, as far as it has them, `hosts` the values of its `Host` headers, `is_https` what clients
/// speak to us: it says what the default port is where the target does not.
pub fn agreed_host<'a>(
    (scheme, authority): (Option<&str>, Option<&'a str>),
    hosts: impl IntoIterator<Item = &'a [u8]>,
    is_https: bool,
) -> Result<Option<Authority<'a>>, BadHost> {
    let parse = |text: &'a str| Authority::parse(text).ok_or(BadHost::Invalid);
    let is_https = match scheme {
        None => is_https,
        Some(scheme) if scheme.eq_ignore_ascii_case("https") => true,
        Some(scheme) if scheme.eq_ignore_ascii_case("http") => false,
        Some(_) => return Err(BadHost::Scheme),
    };
    let mut hosts = hosts.into_iter();
    let host = hosts.next();
    if hosts.next().is_some() {
        return Err(BadHost::Several);
    }
    let host = host
        .map(|host| str::from_utf8(host).map_err(|_| BadHost::Invalid).and_then(parse))
        .transpose()?;
    match (authority.map(parse).transpose()?, host) {
        (Some(target), Some(host)) if !target.is(host, is_https) => Err(BadHost::Differs),
        (Some(target), _) => Ok(Some(target)),
        (None, host) => Ok(host),
    }
}

#[cfg(test)]
mod tests;
