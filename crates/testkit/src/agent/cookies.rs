//! The cookies of one browser (RFC 6265bis): kept by host, sent by path, scheme and site. They
//! never expire by themselves: tests move the gateway's clock, not the browser's.

use url::Url;

/// A cookie as a browser keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cookie {
    pub name: String,
    pub value: String,
    pub host: String,
    pub path: String,
    /// Seconds; `None` for a cookie that ends with the browser.
    pub max_age: Option<i64>,
    pub secure: bool,
    pub http_only: bool,
    /// As written; browsers take `Lax` when there is none.
    pub same_site: Option<String>,
}

#[derive(Clone, Debug, Default)]
pub(super) struct CookieJar(Vec<Cookie>);

impl CookieJar {
    /// Takes what `Set-Cookie` says, unless a browser would refuse it.
    pub(super) fn take(&mut self, url: &Url, header: &str) {
        let Some((cookie, _)) =
            parse(url, header).filter(|(cookie, has_domain)| is_accepted(url, cookie, *has_domain))
        else {
            return;
        };
        self.0.retain(|kept| {
            !(kept.name == cookie.name && kept.host == cookie.host && kept.path == cookie.path)
        });
        if cookie.max_age.is_none_or(|seconds| seconds > 0) {
            self.0.push(cookie);
        }
    }

    /// The `Cookie` header for a request. A cross-site one carries no Lax or Strict cookie, unless
    /// it is a navigation by GET.
    pub(super) fn header(&self, url: &Url, is_cross_site_post: bool) -> Option<String> {
        let sent = self.0.iter().filter(|cookie| {
            let allowed = !is_cross_site_post || cookie.same_site.as_deref() == Some("None");
            allowed
                && cookie.host == host(url)
                && (!cookie.secure || url.scheme() == "https")
                && is_below(url.path(), &cookie.path)
        });
        let pairs: Vec<_> =
            sent.map(|cookie| format!("{}={}", cookie.name, cookie.value)).collect();
        (!pairs.is_empty()).then(|| pairs.join("; "))
    }

    pub(super) fn all(&self) -> &[Cookie] {
        &self.0
    }

    pub(super) fn put(&mut self, cookie: Cookie) {
        self.0.retain(|kept| {
            !(kept.name == cookie.name && kept.host == cookie.host && kept.path == cookie.path)
        });
        self.0.push(cookie);
    }
}

fn host(url: &Url) -> &str {
    url.host_str().unwrap_or_default()
}

fn parse(url: &Url, header: &str) -> Option<(Cookie, bool)> {
    let mut parts = header.split(';').map(str::trim);
    let (name, value) = parts.next()?.split_once('=')?;
    let mut cookie = Cookie {
        name: name.to_owned(),
        value: value.to_owned(),
        host: host(url).to_owned(),
        path: url
            .path()
            .rsplit_once('/')
            .map_or("/", |(folder, _)| if folder.is_empty() { "/" } else { folder })
            .to_owned(),
        max_age: None,
        secure: false,
        http_only: false,
        same_site: None,
    };
    let mut has_domain = false;
    for part in parts {
        let (key, value) = part.split_once('=').unwrap_or((part, ""));
        match key.to_ascii_lowercase().as_str() {
            "path" if value.starts_with('/') => value.clone_into(&mut cookie.path),
            "max-age" => cookie.max_age = value.parse().ok(),
            "secure" => cookie.secure = true,
            "httponly" => cookie.http_only = true,
            "samesite" => cookie.same_site = Some(value.to_owned()),
            "domain" => has_domain = true,
            _ => {}
        }
    }
    Some((cookie, has_domain))
}

/// Secure cookies from https only; `__Host-` cookies only with Secure, the whole site's path, and
/// no domain.
fn is_accepted(url: &Url, cookie: &Cookie, has_domain: bool) -> bool {
    let is_https = url.scheme() == "https";
    if cookie.secure && !is_https {
        return false;
    }
    !cookie.name.starts_with("__Host-") || (cookie.secure && cookie.path == "/" && !has_domain)
}

fn is_below(path: &str, folder: &str) -> bool {
    path.strip_prefix(folder)
        .is_some_and(|rest| rest.is_empty() || folder.ends_with('/') || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn jar(url: &str, headers: &[&str]) -> CookieJar {
        let mut jar = CookieJar::default();
        for header in headers {
            jar.take(&Url::parse(url).unwrap(), header);
        }
        jar
    }

    fn sent(jar: &CookieJar, url: &str) -> Option<String> {
        jar.header(&Url::parse(url).unwrap(), false)
    }

    #[test]
    fn cookies_go_where_they_belong() {
        let jar = jar(
            "http://a.example/x/y",
            &["one=1; Path=/", "two=2", "three=3; Path=/z; HttpOnly", "gone=4; Max-Age=0"],
        );
        assert_eq!(sent(&jar, "http://a.example/").as_deref(), Some("one=1"));
        assert_eq!(sent(&jar, "http://a.example/x/z").as_deref(), Some("one=1; two=2"));
        assert_eq!(sent(&jar, "http://a.example/zz").as_deref(), Some("one=1"));
        assert_eq!(sent(&jar, "http://b.example/"), None);
        assert_eq!(
            jar.header(&Url::parse("http://a.example/").unwrap(), true),
            None,
            "Lax is the default"
        );
    }

    #[test]
    fn prefixes_and_secure_are_enforced() {
        assert!(jar("http://a.example/", &["s=1; Secure"]).all().is_empty());
        let refused = [
            "__Host-a=1; Secure",
            "__Host-a=1; Path=/",
            "__Host-a=1; Secure; Path=/; Domain=a.example",
        ];
        assert!(jar("https://a.example/x/", &refused).all().is_empty());
        let jar = jar("https://a.example/x/", &["__Host-a=1; Secure; Path=/"]);
        assert_eq!(sent(&jar, "https://a.example/").as_deref(), Some("__Host-a=1"));
        assert_eq!(sent(&jar, "http://a.example/"), None);
    }
}
