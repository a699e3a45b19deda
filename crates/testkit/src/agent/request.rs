//! One request of an [`super::Agent`], before it is sent.

use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use serde_json::Value;
use url::{Url, form_urlencoded};

/// Method, address, headers and body; the browser adds its cookies.
#[derive(Clone, Debug)]
pub struct Request {
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
    pub(super) cookies: bool,
    pub(super) cross_site: bool,
}

impl Request {
    /// # Panics
    /// If `url` is none.
    pub fn new(method: Method, url: &str) -> Self {
        let url = Url::parse(url).unwrap_or_else(|error| panic!("{url}: {error}"));
        Self {
            method,
            url,
            headers: HeaderMap::new(),
            body: Vec::new(),
            cookies: true,
            cross_site: false,
        }
    }

    pub fn get(url: &str) -> Self {
        Self::new(Method::GET, url)
    }

    pub fn post(url: &str) -> Self {
        Self::new(Method::POST, url)
    }

    /// A form's fields.
    pub fn form<K: AsRef<str>, V: AsRef<str>>(
        method: Method,
        url: &str,
        fields: impl IntoIterator<Item = (K, V)>,
    ) -> Self {
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        Self::new(method, url)
            .header("content-type", "application/x-www-form-urlencoded")
            .body(body)
    }

    /// A JSON document.
    pub fn json(url: &str, document: &Value) -> Self {
        Self::post(url).header("content-type", "application/json").body(document.to_string())
    }

    /// Adds a header.
    ///
    /// # Panics
    /// If it is none.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        let name = HeaderName::try_from(name).expect("a header name");
        self.headers.append(name, HeaderValue::from_str(value).expect("a header value"));
        self
    }

    #[must_use]
    pub fn bearer(self, token: &str) -> Self {
        self.header(header::AUTHORIZATION.as_str(), &format!("Bearer {token}"))
    }

    #[must_use]
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// Sends none of this browser's cookies.
    #[must_use]
    pub fn without_cookies(mut self) -> Self {
        self.cookies = false;
        self
    }

    /// Sends it from a page of another site, with that site's origin, as a browser does.
    #[must_use]
    pub fn from_site(mut self, origin: &str) -> Self {
        self.cross_site = true;
        self.headers.remove(header::ORIGIN);
        self.header("origin", origin)
    }

    /// Sends it from a page of the same site that hides its origin, as one with `Referrer-Policy:
    /// no-referrer` does.
    #[must_use]
    pub fn hiding_origin(mut self) -> Self {
        self.headers.remove(header::ORIGIN);
        self.header("origin", "null")
    }

    /// The same request at another address.
    ///
    /// # Panics
    /// If `url` is none.
    #[must_use]
    pub fn at(mut self, url: &str) -> Self {
        self.url = Url::parse(url).unwrap_or_else(|error| panic!("{url}: {error}"));
        self
    }
}
