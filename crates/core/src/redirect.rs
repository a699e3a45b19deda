//! Redirect URIs of clients: which may be registered, and when one that is presented is the one that was registered
//! (threats 4, 5, 6). Our own URLs live in [`crate::resource`].

use std::fmt;

use serde::{Deserialize, Serialize};
use thiserror::Error;
use url::{Host, Url};

/// A redirect URI that may be registered, spelt as the client spelt it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct RedirectUri(String);

/// Why a redirect URI is refused: `invalid_redirect_uri` (RFC 7591 section 3.2.2).
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum BadRedirectUri {
    #[error("not an absolute URI")]
    NotAUri,
    #[error("must not have a fragment")]
    Fragment,
    #[error("must not have a user name or password")]
    Userinfo,
    #[error("must not contain spaces, control characters or backslashes")]
    Characters,
    #[error("http is allowed for loopback hosts only (localhost, 127.0.0.1, [::1]); use https")]
    PlainHttp,
    #[error("the scheme must be https, http on a loopback host, or a private-use scheme with a dot, such as com.example.app")]
    Scheme,
    #[error("longer than {MAX_LENGTH} characters")]
    TooLong,
}

const MAX_LENGTH: usize = 2048;

/// Private-use schemes without a dot that well-known MCP clients register; RFC 8252 section 7.1 asks for a dot, and everything
/// else without one is refused.
const KNOWN_APP_SCHEMES: [&str; 4] = ["cursor", "vscode", "vscode-insiders", "windsurf"];

impl RedirectUri {
    /// Accepts https, http on loopback hosts, and private-use schemes (RFC 8252 sections 7.1 to 7.3).
    pub fn parse(text: &str) -> Result<Self, BadRedirectUri> {
        if text.len() > MAX_LENGTH {
            return Err(BadRedirectUri::TooLong);
        }
        if text.chars().any(|c| c.is_control() || c.is_whitespace() || c == '\\') {
            return Err(BadRedirectUri::Characters);
        }
        let url = Url::parse(text).map_err(|_| BadRedirectUri::NotAUri)?;
        if text.contains('#') {
            return Err(BadRedirectUri::Fragment);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(BadRedirectUri::Userinfo);
        }
        match url.scheme() {
            "https" if url.host().is_some() => Ok(Self(text.to_owned())),
            "http" if is_loopback(&url) => Ok(Self(text.to_owned())),
            "http" => Err(BadRedirectUri::PlainHttp),
            scheme if scheme.contains('.') || KNOWN_APP_SCHEMES.contains(&scheme) => Ok(Self(text.to_owned())),
            _ => Err(BadRedirectUri::Scheme),
        }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Does `presented`, from an authorization request, name this registered URI? An exact comparison of strings, save that the
    /// port of an http loopback URI may vary (RFC 8252 section 7.3, OAuth 2.1 section 2.3.1). Host, path and query stay exact.
    pub fn admits(&self, presented: &str) -> bool {
        if self.0 == presented {
            return true;
        }
        match (loopback_parts(&self.0), Self::parse(presented).ok().and_then(|_| loopback_parts(presented))) {
            (Some(registered), Some(presented)) => registered == presented,
            _ => false,
        }
    }

    /// Does the URI lead back to the machine in front of the user, where any local program may listen (threat 5)?
    pub fn is_local(&self) -> bool {
        Url::parse(&self.0).is_ok_and(|url| is_loopback(&url))
    }

    /// The scheme, in small letters.
    pub fn scheme(&self) -> String {
        self.0.split(':').next().unwrap_or_default().to_ascii_lowercase()
    }

    /// Does the URI lead to a program by a scheme of its own (RFC 8252 section 7.1), which a browser opens beside the page it is on?
    pub fn is_private_use(&self) -> bool {
        Url::parse(&self.0).is_ok_and(|url| !matches!(url.scheme(), "http" | "https"))
    }

    /// The host a person should recognise, or the scheme of a private-use URI.
    pub fn host(&self) -> String {
        let url = Url::parse(&self.0).ok();
        let host = url.as_ref().and_then(|url| url.host_str().filter(|host| !host.is_empty()).map(str::to_owned));
        host.or_else(|| url.map(|url| url.scheme().to_owned())).unwrap_or_default()
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.octets() == [127, 0, 0, 1],
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// What stays exact of an http loopback URI when its port may vary: the spelling of the host and all that follows the port.
fn loopback_parts(text: &str) -> Option<(&str, &str)> {
    let rest = text.strip_prefix("http://")?;
    let host = ["localhost", "127.0.0.1", "[::1]"].into_iter().find(|host| rest.starts_with(host))?;
    let (host, after) = rest.split_at(host.len());
    let after = match after.strip_prefix(':') {
        Some(port_on) => {
            let digits = port_on.bytes().take_while(u8::is_ascii_digit).count();
            let (port, tail) = port_on.split_at(digits);
            port.parse::<u16>().ok()?;
            tail
        }
        None => after,
    };
    (after.is_empty() || after.starts_with('/') || after.starts_with('?')).then_some((host, after))
}

impl fmt::Display for RedirectUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for RedirectUri {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_registered() {
        let cases: [(&str, Result<(), BadRedirectUri>); 23] = [
            ("https://app.example/cb", Ok(())),
            ("https://app.example/cb?x=1", Ok(())),
            ("http://localhost:33418/", Ok(())),
            ("http://127.0.0.1/cb", Ok(())),
            ("http://[::1]:1/cb", Ok(())),
            ("com.example.app:/cb", Ok(())),
            ("cursor://anysphere.cursor-mcp/oauth/callback", Ok(())),
            ("vscode://publisher/cb", Ok(())),
            ("http://app.example/cb", Err(BadRedirectUri::PlainHttp)),
            ("http://localhost.evil/cb", Err(BadRedirectUri::PlainHttp)),
            ("http://127.0.0.2/cb", Err(BadRedirectUri::PlainHttp)),
            ("http://0.0.0.0/cb", Err(BadRedirectUri::PlainHttp)),
            ("javascript:alert(1)", Err(BadRedirectUri::Scheme)),
            ("data:text/html,x", Err(BadRedirectUri::Scheme)),
            ("file:///etc/passwd", Err(BadRedirectUri::Scheme)),
            ("myapp://cb", Err(BadRedirectUri::Scheme)),
            ("urn:ietf:wg:oauth:2.0:oob", Err(BadRedirectUri::Scheme)),
            ("https://app.example/cb#f", Err(BadRedirectUri::Fragment)),
            ("https://app.example/cb#", Err(BadRedirectUri::Fragment)),
            ("https://u:p@app.example/cb", Err(BadRedirectUri::Userinfo)),
            ("https://app.example\\@evil/cb", Err(BadRedirectUri::Characters)),
            ("https://app.example/ cb", Err(BadRedirectUri::Characters)),
            ("/cb", Err(BadRedirectUri::NotAUri)),
        ];
        for (text, expected) in cases {
            assert_eq!(RedirectUri::parse(text).map(|_| ()), expected, "{text}");
        }
    }

    #[test]
    fn what_is_presented_must_be_what_was_registered() {
        let cases = [
            ("https://app.example/cb", "https://app.example/cb", true),
            ("https://app.example/cb", "https://app.example/cb/", false),
            ("https://app.example/cb", "https://app.example/CB", false),
            ("https://app.example/cb", "https://app.example:443/cb", false),
            ("https://app.example/cb", "https://app.example/cb?x", false),
            ("https://app.example/cb", "https://app.example/cb/../cb", false),
            ("http://localhost/cb", "http://localhost:5000/cb", true),
            ("http://localhost:1/cb", "http://localhost:65535/cb", true),
            ("http://localhost:1/cb", "http://localhost/cb", true),
            ("http://127.0.0.1:1/cb", "http://127.0.0.1:2/cb", true),
            ("http://[::1]:1/cb", "http://[::1]:2/cb", true),
            ("http://localhost:1/cb", "http://localhost:99999/cb", false),
            ("http://localhost:1/cb", "http://127.0.0.1:1/cb", false),
            ("http://localhost:1/cb", "http://localhost:1/cb2", false),
            ("http://localhost:1/cb", "http://localhost:1@evil/cb", false),
            ("http://localhost:1/cb", "http://localhost:1.evil/cb", false),
            ("http://localhost:1/cb", "http://localhost.evil/cb", false),
            ("http://localhost:1/cb", "https://localhost:2/cb", false),
            ("http://localhost:1/cb", "http://localhost:2/a/../cb", false),
            ("com.example.app:/cb", "com.example.app:/cb", true),
            ("com.example.app:/cb", "com.example.app:/other", false),
        ];
        for (registered, presented, expected) in cases {
            assert_eq!(RedirectUri::parse(registered).unwrap().admits(presented), expected, "{registered} {presented}");
        }
    }
}
