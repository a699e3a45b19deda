//! Cookies: reading them, and the one way they are set (threat 14). What they mean stands where
//! they are set.

use std::time::Duration;

use http::{HeaderMap, HeaderValue, header};
use portunus_core::resource::PublicUrl;

/// Sets and names cookies. On https every name carries `__Host-`, so that no sibling domain can set
/// it; on http (loopback and tests) that prefix does not exist.
#[derive(Clone, Copy, Debug)]
pub struct CookieJar {
    secure: bool,
}

impl CookieJar {
    pub fn new(public_url: &PublicUrl) -> Self {
        Self { secure: public_url.is_https() }
    }

    fn full_name(self, name: &str) -> String {
        if self.secure { format!("__Host-portunus_{name}") } else { format!("portunus_{name}") }
    }

    /// Cookies whose names begin with this: names, as [`Self::find`] takes them, and values. Of
    /// each name there may be several.
    pub fn find_all(self, headers: &HeaderMap, prefix: &str) -> Vec<(String, String)> {
        let (own, full) = (self.full_name(""), self.full_name(prefix));
        let found = pairs(headers).filter(|(name, _)| name.starts_with(&full));
        found.map(|(name, value)| (name[own.len()..].to_owned(), value.to_owned())).collect()
    }

    /// The cookie's value. One that was sent twice is no cookie at all: an attacker planted the
    /// other.
    pub fn find(self, headers: &HeaderMap, name: &str) -> Option<String> {
        let full_name = self.full_name(name);
        let mut found = pairs(headers)
            .filter(|(name, _)| *name == full_name)
            .map(|(_, value)| value.to_owned());
        let first = found.next()?;
        found.next().is_none().then_some(first)
    }

    /// A `Set-Cookie` header: HttpOnly, SameSite=Lax, whole site, Secure on https.
    pub fn set(
        self,
        name: &str,
        value: &str,
        max_age: Duration,
    ) -> (header::HeaderName, HeaderValue) {
        let secure = if self.secure { "; Secure" } else { "" };
        let text = format!(
            "{}={value}; Path=/; Max-Age={}; HttpOnly; SameSite=Lax{secure}",
            self.full_name(name),
            max_age.as_secs()
        );
        // Values are our own base64url secrets: always valid in a header.
        (header::SET_COOKIE, HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static("")))
    }

    /// A `Set-Cookie` header that removes the cookie.
    pub fn clear(self, name: &str) -> (header::HeaderName, HeaderValue) {
        self.set(name, "", Duration::ZERO)
    }
}

/// All cookies that came with a request. Byte by byte: the cookie of another application on the
/// host may be anything.
fn pairs(headers: &HeaderMap) -> impl Iterator<Item = (&str, &str)> {
    let lines = headers.get_all(header::COOKIE).iter();
    let pairs = lines.flat_map(|value| value.as_bytes().split(|byte| *byte == b';'));
    pairs.filter_map(|pair| str::from_utf8(pair.trim_ascii()).ok()?.split_once('='))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn jar(url: &str) -> CookieJar {
        CookieJar::new(&PublicUrl::parse(url).unwrap())
    }

    #[test]
    fn t14_cookies_are_locked_to_the_host() {
        let (_, value) = jar("https://gw.example").set("login", "abc", Duration::from_secs(60));
        assert_eq!(
            value,
            "__Host-portunus_login=abc; Path=/; Max-Age=60; HttpOnly; SameSite=Lax; Secure"
        );
        let (_, value) = jar("http://localhost:3000").set("login", "abc", Duration::from_secs(60));
        assert_eq!(value, "portunus_login=abc; Path=/; Max-Age=60; HttpOnly; SameSite=Lax");
    }

    #[test]
    fn fb04_other_applications_cookies_may_be_anything() {
        for other in [&b"caf\xe9=\xff"[..], b"snow=\xe2\x98\x83", b"\xff", b"=", b"a;b", b"\xc3"] {
            for line in
                [[other, b"; portunus_login=x"].concat(), [b"portunus_login=x;", other].concat()]
            {
                let mut headers = HeaderMap::new();
                headers.append(header::COOKIE, HeaderValue::from_bytes(&line).unwrap());
                assert_eq!(
                    jar("http://localhost").find(&headers, "login").as_deref(),
                    Some("x"),
                    "{line:?}"
                );
            }
        }
    }

    #[test]
    fn a_planted_twin_makes_both_void() {
        let mut headers = HeaderMap::new();
        headers.append(
            header::COOKIE,
            HeaderValue::from_static("a=1; __Host-portunus_login=x; portunus_login=y"),
        );
        assert_eq!(jar("https://gw.example").find(&headers, "login").as_deref(), Some("x"));
        assert_eq!(jar("http://localhost").find(&headers, "login").as_deref(), Some("y"));
        headers.append(header::COOKIE, HeaderValue::from_static("__Host-portunus_login=z"));
        assert_eq!(jar("https://gw.example").find(&headers, "login"), None);
        assert_eq!(jar("https://gw.example").find(&headers, "other"), None);
    }
}
