//! What HTTP servers are asked with: hyper's pooled client, bare. Everything that a call to a server does not need (redirects, cookies,
//! a URL parsed for each request and again for each answer) is not there. It is made in the gateway, in `net`.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, Uri, header};
use http_body_util::Full;
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::{Client, connect::HttpConnector};
use portunus_core::secret::SecretText;
use url::{Url, form_urlencoded};

use super::coding::{self, Body};
use crate::upstream::error::UpstreamError;

/// Follows no redirects, keeps no cookies, and has no timeout of its own: how long anything may take, is the caller's to say.
pub type HttpClient = Client<HttpsConnector<HttpConnector>, Full<Bytes>>;

/// How much of a redirect's target is told.
const MAX_TARGET: usize = 200;
const USER_AGENT: HeaderValue = HeaderValue::from_static(concat!("portunus/", env!("CARGO_PKG_VERSION")));

/// A server's URL, as requests have it.
pub(super) struct Target {
    uri: Uri,
    http: HttpClient,
}

impl Target {
    /// Puts into `headers` what the URL says beside the address: a user and a password (RFC 7617), unless they say it themselves.
    pub(super) fn new(http: HttpClient, mut url: Url, headers: &mut HeaderMap) -> Result<Self, UpstreamError> {
        if let Some(credentials) = credentials(&url) {
            headers.entry(header::AUTHORIZATION).or_insert(credentials);
        }
        headers.entry(header::USER_AGENT).or_insert(USER_AGENT);
        headers.entry(header::ACCEPT_ENCODING).or_insert(coding::NONE);
        url.set_fragment(None);
        // Both fail for URLs without a host alone.
        let _ = url.set_username("");
        let _ = url.set_password(None);
        let uri = Uri::try_from(url.as_str());
        let uri =
            uri.map_err(|error| UpstreamError::Connect { detail: format!("the configured URL cannot be used: {error}") })?;
        Ok(Self { uri, http })
    }

    pub(super) const fn uri(&self) -> &Uri {
        &self.uri
    }

    /// Asks, and gives the answer once its head is there. A redirect is refused: it would carry the configured credentials to wherever
    /// it leads.
    pub(super) async fn send(&self, method: Method, headers: HeaderMap, body: Bytes) -> Result<Response<Body>, UpstreamError> {
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = method;
        *request.uri_mut() = self.uri.clone();
        *request.headers_mut() = headers;
        let failed =
            |error: hyper_util::client::legacy::Error| if error.is_connect() { unreachable(&error) } else { broken(&error) };
        let response = self.http.request(request).await.map_err(failed)?;
        if response.status().is_redirection() {
            let target =
                response.headers().get(header::LOCATION).map(|target| String::from_utf8_lossy(target.as_bytes()).into_owned());
            let target: String = target.unwrap_or_default().escape_debug().take(MAX_TARGET).collect();
            return Err(UpstreamError::protocol(format!(
                "the server redirects to {target:?}: configure the final address as its `url`"
            )));
        }
        coding::decoded(response)
    }
}

/// The configured headers, marked so that nothing prints their values.
pub(super) fn header_map(headers: &[(HeaderName, SecretText)]) -> Result<HeaderMap, UpstreamError> {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        let bad = |_| UpstreamError::Connect { detail: format!("the value of the configured header {name} is no header value") };
        let mut value = HeaderValue::from_str(value.expose()).map_err(bad)?;
        value.set_sensitive(true);
        map.append(name, value);
    }
    Ok(map)
}

fn credentials(url: &Url) -> Option<HeaderValue> {
    if url.username().is_empty() && url.password().is_none() {
        return None;
    }
    let pair = format!("{}:{}", decoded(url.username()), decoded(url.password().unwrap_or_default()));
    let mut value = HeaderValue::from_str(&format!("Basic {}", STANDARD.encode(pair))).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// What is percent-encoded in a URL's user and password. In a form, which is what is decoded here, two characters mean more than that.
fn decoded(text: &str) -> String {
    let form = text.replace('+', "%2B").replace('&', "%26");
    form_urlencoded::parse(format!("text={form}").as_bytes()).map(|(_, value)| value.into_owned()).collect()
}

/// Nothing was sent: there is no connection.
fn unreachable(error: &dyn std::error::Error) -> UpstreamError {
    UpstreamError::Connect { detail: with_causes(error) }
}

/// The connection broke: what was sent may have arrived.
pub(super) fn broken(error: &dyn std::error::Error) -> UpstreamError {
    UpstreamError::closed(with_causes(error))
}

fn with_causes(error: &dyn std::error::Error) -> String {
    let mut detail = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        detail.push_str(": ");
        detail.push_str(&cause.to_string());
        source = cause.source();
    }
    detail
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_in_the_url_becomes_a_header_and_leaves_the_url() {
        let cases = [
            ("http://h/mcp", None),
            ("http://me:p%40ss@h/mcp", Some("me:p@ss")),
            ("http://me@h/mcp", Some("me:")),
            ("http://:a+b%2Bc&d=e@h/mcp", Some(":a+b+c&d=e")),
        ];
        for (url, expected) in cases {
            let found = credentials(&Url::parse(url).unwrap());
            let expected = expected.map(|pair| format!("Basic {}", STANDARD.encode(pair)));
            assert_eq!(found.as_ref().map(|value| value.to_str().unwrap().to_owned()), expected, "{url}");
        }
    }
}
