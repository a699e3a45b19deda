//! The URL under which people and clients reach the gateway. The resources below it live next door,
//! in [`super::resources`].

use std::fmt;

use thiserror::Error;
use url::Url;

/// The origin (and optional path prefix) under which people and clients reach the gateway; never
/// derived from a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicUrl {
    pub(super) url: Url,
    /// The URL without a trailing slash, as it stands before our paths and in `iss`.
    text: String,
}

/// Why a text cannot be the public URL.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum BadPublicUrl {
    #[error("not a URL: {0}")]
    NotAUrl(url::ParseError),
    #[error("must start with http:// or https://")]
    Scheme,
    #[error("must have no user name, password, query or fragment")]
    Extras,
    #[error("must have no path: the gateway's paths start at the root of its host")]
    Path,
}

impl PublicUrl {
    pub fn parse(text: &str) -> Result<Self, BadPublicUrl> {
        let url = Url::parse(text).map_err(BadPublicUrl::NotAUrl)?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(BadPublicUrl::Scheme);
        }
        if !url.username().is_empty()
            || url.password().is_some()
            || url.query().is_some()
            || url.fragment().is_some()
        {
            return Err(BadPublicUrl::Extras);
        }
        if url.path() != "/" {
            return Err(BadPublicUrl::Path);
        }
        let text = url.as_str().trim_end_matches('/').to_owned();
        Ok(Self { url, text })
    }

    /// Without a trailing slash: also the authorization server's issuer identifier (RFC 8414
    /// section 2).
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The absolute URL of one of our paths; `path` starts with a slash.
    pub fn at(&self, path: &str) -> String {
        [&*self.text, path].concat()
    }

    pub fn is_https(&self) -> bool {
        self.url.scheme() == "https"
    }

    /// Is the host this machine itself?
    pub fn is_loopback(&self) -> bool {
        match self.url.host() {
            Some(url::Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
            Some(url::Host::Ipv4(address)) => address.is_loopback(),
            Some(url::Host::Ipv6(address)) => address.is_loopback(),
            None => false,
        }
    }

    /// `host[:port]`, as it must stand in a `Host` header.
    pub fn authority(&self) -> &str {
        self.text.split_once("://").map_or("", |(_, authority)| authority)
    }

    /// The origin (RFC 6454), as it stands in an `Origin` header. The same text as
    /// [`Self::as_str`], for we have no path.
    pub fn origin(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for PublicUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn public_urls() {
        assert_eq!(
            PublicUrl::parse("http://localhost:3000/").unwrap().as_str(),
            "http://localhost:3000"
        );
        assert_eq!(PublicUrl::parse("https://gw.example:443").unwrap().authority(), "gw.example");
        assert!(PublicUrl::parse("http://127.0.0.1:3000").unwrap().is_loopback());
        assert!(!PublicUrl::parse("https://localhost.example").unwrap().is_loopback());
        assert_eq!(PublicUrl::parse("ftp://x"), Err(BadPublicUrl::Scheme));
        assert_eq!(PublicUrl::parse("https://x/y"), Err(BadPublicUrl::Path));
        assert_eq!(PublicUrl::parse("https://u@x"), Err(BadPublicUrl::Extras));
    }
}
