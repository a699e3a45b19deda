//! URLs of strangers that we are to fetch: client metadata documents, clients' key sets (threat
//! 26). Which addresses they may lead to is decided in [`crate::net_address`]; the fetching is the
//! gateway's `net::guarded`.

use std::{fmt, net::IpAddr};

use thiserror::Error;
use url::{Host, Url};

use crate::net_address;

/// The ports a stranger's URL may name: those of https and of its usual second server
/// (`docs/decisions/0012-urls-of-strangers.md`).
pub const PORTS: [u16; 2] = [443, 8443];

const MAX_LENGTH: usize = 2048;

/// A URL that may be asked, as far as can be told without resolving its name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct OutsideUrl(Url);

/// Why a URL is not asked. The texts are meant for the client's developer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum BadOutsideUrl {
    #[error("must be an absolute https URL")]
    NotHttps,
    #[error("must not have a user name or password")]
    Userinfo,
    #[error("must not have a fragment")]
    Fragment,
    #[error("must have a path, such as /client.json")]
    NoPath,
    #[error("must not have . or .. in its path")]
    DotSegment,
    #[error("must be on port 443 or 8443")]
    Port,
    #[error("must name a host on the public Internet")]
    Host,
    #[error(
        "must be written in its normal form: host in small letters, default port left out, nothing that needs encoding"
    )]
    Spelling,
    #[error("is longer than {MAX_LENGTH} characters")]
    TooLong,
}

impl OutsideUrl {
    /// Takes a URL exactly as it is written, for two spellings of one URL would be two clients.
    pub fn parse(text: &str) -> Result<Self, BadOutsideUrl> {
        if text.len() > MAX_LENGTH {
            return Err(BadOutsideUrl::TooLong);
        }
        let url = Url::parse(text).map_err(|_| BadOutsideUrl::NotHttps)?;
        if url.scheme() != "https" {
            return Err(BadOutsideUrl::NotHttps);
        }
        if !url.username().is_empty() || url.password().is_some() || authority(text).contains('@') {
            return Err(BadOutsideUrl::Userinfo);
        }
        if text.contains('#') {
            return Err(BadOutsideUrl::Fragment);
        }
        if has_dot_segment(text) || has_dot_segment(url.path()) {
            return Err(BadOutsideUrl::DotSegment);
        }
        if url.path() == "/" {
            return Err(BadOutsideUrl::NoPath);
        }
        if !url.port_or_known_default().is_some_and(|port| PORTS.contains(&port)) {
            return Err(BadOutsideUrl::Port);
        }
        check_host(url.host().as_ref())?;
        if url.as_str() == text { Ok(Self(url)) } else { Err(BadOutsideUrl::Spelling) }
    }

    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    pub const fn url(&self) -> &Url {
        &self.0
    }

    /// The host, as a name or an address.
    pub fn host(&self) -> &str {
        self.0.host_str().unwrap_or_default()
    }
}

impl fmt::Display for OutsideUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An address, however it was spelt, must be a public one; a name must have a dot within, so that
/// no search list completes it.
fn check_host(host: Option<&Host<&str>>) -> Result<(), BadOutsideUrl> {
    let is_public = |address: IpAddr| net_address::special_use(address).is_none();
    let fits = match host {
        Some(Host::Domain(name)) => {
            let name = name.to_ascii_lowercase();
            let is_local = ["localhost", "local", "internal", "home.arpa", "onion"]
                .into_iter()
                .any(|zone| name.strip_suffix(zone).is_some_and(|rest| rest.ends_with('.')));
            name.contains('.') && !name.starts_with('.') && !name.ends_with('.') && !is_local
        }
        Some(Host::Ipv4(address)) => is_public((*address).into()),
        Some(Host::Ipv6(address)) => is_public((*address).into()),
        None => false,
    };
    if fits { Ok(()) } else { Err(BadOutsideUrl::Host) }
}

/// What stands between `//` and the path, before the parser tidied it up.
fn authority(text: &str) -> &str {
    let after = text.split_once("//").map_or("", |(_, after)| after);
    after.split(['/', '\\', '?', '#']).next().unwrap_or_default()
}

/// Does the path have a segment `.` or `..`, plain or percent-encoded, also behind an encoded
/// slash? Parsers drop or follow them.
fn has_dot_segment(text: &str) -> bool {
    let after = text.split_once("//").map_or(text, |(_, after)| after);
    let path = after.split(['?', '#']).next().unwrap_or_default().to_ascii_lowercase();
    let path = path.replace("%2e", ".").replace("%2f", "/").replace("%5c", "/").replace('\\', "/");
    path.split('/').skip(1).any(|segment| segment == "." || segment == "..")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_asked() {
        for text in [
            "https://app.example/client.json",
            "https://app.example/oauth/client-metadata.json",
            "https://app.example:8443/client.json",
            "https://app.example/client",
            "https://app.example/clients/",
            "https://app.example/@acme/client.json?of=a@b",
            "https://app.example/client.json?v=2",
            "https://app.example/client%20one.json",
            "https://app.example/a..b/.well-known/client.json",
            "https://xn--bcher-kva.example/client.json",
            "https://8.8.8.8/client.json",
            "https://[2606:4700:4700::1111]/client.json",
        ] {
            assert_eq!(OutsideUrl::parse(text).map(|url| url.to_string()), Ok(text.to_owned()));
        }
    }

    #[test]
    fn t26_what_may_not() {
        use BadOutsideUrl::{
            DotSegment, Fragment, Host, NoPath, NotHttps, Port, Spelling, TooLong, Userinfo,
        };
        let long = format!("https://app.example/{}", "x".repeat(2048));
        for (text, expected) in [
            ("", NotHttps),
            ("client", NotHttps),
            ("/client.json", NotHttps),
            ("http://app.example/client.json", NotHttps),
            ("ftp://app.example/client.json", NotHttps),
            ("file:///etc/passwd", NotHttps),
            ("gopher://app.example/x", NotHttps),
            ("https://", NotHttps),
            ("https://u@app.example/c", Userinfo),
            ("https://u:p@app.example/c", Userinfo),
            ("https://@app.example/c", Userinfo),
            ("https://:@app.example/c", Userinfo),
            ("https://app.example/c#", Fragment),
            ("https://app.example/c#f", Fragment),
            ("https://app.example", NoPath),
            ("https://app.example/", NoPath),
            ("https://app.example?x", NoPath),
            ("https://app.example/a/../c", DotSegment),
            ("https://app.example/./c", DotSegment),
            ("https://app.example/a/%2e%2e/c", DotSegment),
            ("https://app.example/a/.%2E/c", DotSegment),
            ("https://app.example/%2e/c", DotSegment),
            ("https://app.example/a%2f..%2fc", DotSegment),
            ("https://app.example/a\\..\\c", DotSegment),
            ("https://app.example/c/..", DotSegment),
            ("https://app.example:80/c", Port),
            ("https://app.example:22/c", Port),
            ("https://app.example:6379/c", Port),
            ("https://app.example:0/c", Port),
            ("https://localhost/c", Host),
            ("https://a.localhost/c", Host),
            ("https://printer.local/c", Host),
            ("https://metadata.google.internal/c", Host),
            ("https://router.home.arpa/c", Host),
            ("https://intranet/c", Host),
            ("https://app.example./c", Host),
            ("https://127.0.0.1/c", Host),
            ("https://2130706433/c", Host),
            ("https://0x7f000001/c", Host),
            ("https://0177.0.0.1/c", Host),
            ("https://127.1/c", Host),
            ("https://0/c", Host),
            ("https://169.254.169.254/latest/meta-data", Host),
            ("https://1\u{ff12}7.0.0.1/c", Host),
            ("https://127\u{3002}0.0.1/c", Host),
            ("https://[::1]/c", Host),
            ("https://[::ffff:8.8.8.8]/c", Host),
            ("https://[64:ff9b::a00:1]/c", Host),
            ("https://[fd00:ec2::254]/c", Host),
            ("https://134744072/c", Spelling),
            ("https://APP.example/c", Spelling),
            ("HTTPS://app.example/c", Spelling),
            ("https://app.example:443/c", Spelling),
            ("https:/app.example/c", Spelling),
            ("https:\\\\app.example\\c", Spelling),
            ("https://app.example/a\tb", Spelling),
            (" https://app.example/c", Spelling),
            ("https://app.example/c ", Spelling),
            ("https://app.example/a b", Spelling),
            ("https://b\u{fc}cher.example/c", Spelling),
            (&long, TooLong),
        ] {
            assert_eq!(OutsideUrl::parse(text), Err(expected), "{text:?}");
        }
    }
}
