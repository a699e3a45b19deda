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
mod tests {
    use super::*;

    /// Scheme and authority of the target, the `Host` headers, and what comes of them.
    type Case = (
        (Option<&'static str>, Option<&'static str>),
        &'static [&'static str],
        Result<Option<&'static str>, BadHost>,
    );

    #[test]
    fn t65_target_and_host_must_agree() {
        let https = (Some("https"), Some("gw.example"));
        let cases: [Case; 34] = [
            ((None, None), &["gw.example"], Ok(Some("gw.example"))),
            ((None, None), &[], Ok(None)),
            (https, &[], Ok(Some("gw.example"))),
            (https, &["gw.example"], Ok(Some("gw.example"))),
            (https, &["GW.Example"], Ok(Some("gw.example"))),
            (https, &["gw.example:443"], Ok(Some("gw.example"))),
            (https, &["gw.example:"], Ok(Some("gw.example"))),
            ((Some("HTTPS"), Some("gw.example:443")), &["gw.example"], Ok(Some("gw.example"))),
            ((Some("http"), Some("gw.example:80")), &["gw.example"], Ok(Some("gw.example"))),
            ((Some("https"), Some("[::1]:443")), &["[0:0:0:0:0:0:0:1]"], Ok(Some("[::1]"))),
            // What names two hosts.
            (https, &["evil.example"], Err(BadHost::Differs)),
            ((Some("https"), Some("evil.example")), &["gw.example"], Err(BadHost::Differs)),
            (https, &["gw.example:80"], Err(BadHost::Differs)),
            (https, &["gw.example:8443"], Err(BadHost::Differs)),
            (https, &["gw.example."], Err(BadHost::Differs)),
            (https, &["www.gw.example"], Err(BadHost::Differs)),
            ((Some("http"), Some("gw.example:443")), &["gw.example"], Err(BadHost::Differs)),
            ((None, Some("gw.example")), &["evil.example"], Err(BadHost::Differs)),
            // More than one, though they be equal.
            (https, &["gw.example", "gw.example"], Err(BadHost::Several)),
            ((None, None), &["gw.example", "gw.example"], Err(BadHost::Several)),
            ((None, None), &["gw.example", ""], Err(BadHost::Several)),
            // What is no host.
            (https, &[""], Err(BadHost::Invalid)),
            ((None, None), &[""], Err(BadHost::Invalid)),
            ((None, None), &["user@gw.example"], Err(BadHost::Invalid)),
            ((None, None), &["gw.example, evil.example"], Err(BadHost::Invalid)),
            ((None, None), &["gw.example/x"], Err(BadHost::Invalid)),
            ((None, None), &["gw%2eexample"], Err(BadHost::Invalid)),
            ((Some("https"), Some("user@gw.example")), &["gw.example"], Err(BadHost::Invalid)),
            ((Some("https"), Some("user:secret@gw.example")), &[], Err(BadHost::Invalid)),
            ((Some("https"), Some("@gw.example")), &[], Err(BadHost::Invalid)),
            ((Some("https"), Some("")), &["gw.example"], Err(BadHost::Invalid)),
            ((Some("ftp"), Some("gw.example")), &["gw.example"], Err(BadHost::Scheme)),
            ((Some("wss"), Some("gw.example")), &[], Err(BadHost::Scheme)),
            ((Some("coap"), None), &["gw.example"], Err(BadHost::Scheme)),
        ];
        for (target, hosts, expected) in cases {
            let found = agreed_host(target, hosts.iter().map(|host| host.as_bytes()), true);
            assert_eq!(
                found.map(|host| host.map(Authority::host)),
                expected,
                "{target:?} {hosts:?}"
            );
        }
        assert_eq!(
            agreed_host((None, None), [&b"gw.\xffexample"[..]], true).err(),
            Some(BadHost::Invalid)
        );
    }

    #[test]
    fn t65_ports_that_are_the_same_port() {
        let cases = [
            ("gw.example", "gw.example:443", true, true),
            ("gw.example", "gw.example:80", false, true),
            ("gw.example", "gw.example:443", false, false),
            ("gw.example", "gw.example:80", true, false),
            ("gw.example:8443", "GW.EXAMPLE:8443", true, true),
            ("gw.example:8443", "gw.example", true, false),
            ("[2001:db8::1]:443", "[2001:DB8:0::1]", true, true),
            ("127.0.0.1:3000", "127.0.0.1:3001", false, false),
        ];
        for (one, other, is_https, expected) in cases {
            let (left, right) = (Authority::parse(one).unwrap(), Authority::parse(other).unwrap());
            assert_eq!(left.is(right, is_https), expected, "{one} {other}");
            assert_eq!(right.is(left, is_https), expected, "{other} {one}");
        }
    }

    #[test]
    fn t65_what_is_an_authority() {
        for good in [
            "a",
            "a.b",
            "a_b:1",
            "127.0.0.1",
            "127.0.0.1:65535",
            "[::1]",
            "[::1]:3000",
            "gw.example:",
        ] {
            assert!(Authority::parse(good).is_some(), "{good}");
        }
        for bad in [
            "",
            ":80",
            "a:b",
            "a:0",
            "a:0443",
            "a:65536",
            "a:4294967739",
            "a:+1",
            "a:-1",
            "a: 1",
            "a:1:2",
            "a b",
            "a/b",
            "a?b",
            "a#b",
            "a\\b",
            "u@a",
            "a,b",
            "::1",
            "[::1",
            "[x",
            "[",
            "::1]",
            "[::1]x",
            "[::1]80",
            "[::1%25eth0]",
            "[fe80::1%eth0]",
            "[127.0.0.1]",
            "[]",
            "é.example",
            "a\tb",
            "a;b",
            "*.example",
            "xn--\u{fffd}",
        ] {
            assert!(Authority::parse(bad).is_none(), "{bad}");
        }
    }
}
