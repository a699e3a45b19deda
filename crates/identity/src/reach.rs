//! Where a provider is reached: browsers reach it at its issuer's address, this gateway perhaps at
//! another one, as between containers (FB71). What is said to people and compared with tokens is
//! always the former.

use url::{Position, Url};

/// Both addresses of one provider.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reach<'a> {
    pub(crate) issuer: &'a str,
    /// Scheme, host and port alone.
    pub(crate) internal: Option<&'a Url>,
}

impl Reach<'_> {
    /// Where the gateway asks for this URL of the provider.
    pub(crate) fn inside(&self, url: &Url) -> Url {
        match (self.public(), self.internal) {
            (Some(public), Some(internal)) => moved(url, &public, internal),
            _ => url.clone(),
        }
    }

    /// Where a browser is sent for it.
    pub(crate) fn outside(&self, url: &Url) -> Url {
        match (self.public(), self.internal) {
            (Some(public), Some(internal)) => moved(url, internal, &public),
            _ => url.clone(),
        }
    }

    /// Is it at the internal address, which an administrator chose, be it http?
    pub(crate) fn is_inside(&self, url: &Url) -> bool {
        self.internal.is_some_and(|internal| internal.origin() == url.origin())
    }

    fn public(&self) -> Option<Url> {
        Url::parse(self.issuer).ok()
    }
}

/// The URL at another origin, if it is at this one.
fn moved(url: &Url, from: &Url, to: &Url) -> Url {
    if url.origin() != from.origin() {
        return url.clone();
    }
    let text = format!("{}{}", to.origin().ascii_serialization(), &url[Position::BeforePath..]);
    Url::parse(&text).unwrap_or_else(|_| url.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fb71_inside_and_outside() {
        let internal = Url::parse("http://keycloak:8080").unwrap();
        let reach =
            Reach { issuer: "https://login.acme.com/realms/acme", internal: Some(&internal) };
        let cases = [
            (
                "https://login.acme.com/realms/acme/token?x=1",
                "http://keycloak:8080/realms/acme/token?x=1",
                true,
            ),
            ("https://login.acme.com:443/t", "http://keycloak:8080/t", true),
            ("https://login.acme.com:8443/t", "https://login.acme.com:8443/t", false),
            ("http://login.acme.com/t", "http://login.acme.com/t", false),
            (
                "https://login.acme.com.evil.example/t",
                "https://login.acme.com.evil.example/t",
                false,
            ),
            ("https://keys.acme.com/t", "https://keys.acme.com/t", false),
        ];
        for (text, expected, is_inside) in cases {
            let url = Url::parse(text).unwrap();
            let inside = reach.inside(&url);
            assert_eq!(
                (inside.as_str(), reach.is_inside(&inside)),
                (expected, is_inside),
                "{text}"
            );
            assert_eq!(reach.outside(&inside), url, "and back");
        }
        let alone = Reach { internal: None, ..reach };
        let url = Url::parse("https://login.acme.com/t").unwrap();
        assert_eq!(
            (alone.inside(&url), alone.outside(&url), alone.is_inside(&url)),
            (url.clone(), url, false)
        );
    }
}
