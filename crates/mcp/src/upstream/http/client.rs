//! The HTTP client for servers: hyper's pooled client, without what calls to servers do not need
//! (redirects, cookies, a URL parsed for each request and again for each answer). It is made in the
//! gateway, in `net`.

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

/// Follows no redirects, keeps no cookies and has no timeout: callers set timeouts.
pub type HttpClient = Client<HttpsConnector<HttpConnector>, Full<Bytes>>;

/// How much of a redirect's target an error shows.
const MAX_TARGET: usize = 200;
const USER_AGENT: HeaderValue =
    HeaderValue::from_static(concat!("portunus/", env!("CARGO_PKG_VERSION")));

/// The URL of a server, ready for requests.
pub(super) struct Target {
    uri: Uri,
    http: HttpClient,
}

impl Target {
    /// Moves the user and password of the URL into `headers` (RFC 7617), unless these have
    /// credentials already.
    pub(super) fn new(
        http: HttpClient,
        mut url: Url,
        headers: &mut HeaderMap,
    ) -> Result<Self, UpstreamError> {
        if let Some(credentials) = credentials(&url) {
            headers.entry(header::AUTHORIZATION).or_insert(credentials);
        }
        headers.entry(header::USER_AGENT).or_insert(USER_AGENT);
        headers.entry(header::ACCEPT_ENCODING).or_insert(coding::NONE);
        url.set_fragment(None);
        // Both fail only for URLs without a host.
        let _ = url.set_username("");
        let _ = url.set_password(None);
        let uri = Uri::try_from(url.as_str());
        let uri = uri.map_err(|error| UpstreamError::Connect {
            detail: format!("the configured URL cannot be used: {error}"),
        })?;
        Ok(Self { uri, http })
    }

    pub(super) const fn uri(&self) -> &Uri {
        &self.uri
    }

    /// Sends a request; the answer is returned once its head has come. A redirect is refused: it
    /// would carry the configured credentials to its target.
    pub(super) async fn send(
        &self,
        method: Method,
        headers: HeaderMap,
        body: Bytes,
    ) -> Result<Response<Body>, UpstreamError> {
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = method;
        *request.uri_mut() = self.uri.clone();
        *request.headers_mut() = headers;
        let failed = |error: hyper_util::client::legacy::Error| {
            if error.is_connect() { unreachable(&error) } else { broken(&error) }
        };
        let response = self.http.request(request).await.map_err(failed)?;
        if response.status().is_redirection() {
            let target = response
                .headers()
                .get(header::LOCATION)
                .map(|target| String::from_utf8_lossy(target.as_bytes()).into_owned());
            let target: String =
                target.unwrap_or_default().escape_debug().take(MAX_TARGET).collect();
            return Err(UpstreamError::protocol(format!(
                "the server redirects to {target:?}: configure the final address as its `url`"
            )));
        }
        coding::decoded(response)
    }
}

/// The configured headers, marked as sensitive so that their values are not printed.
pub(super) fn header_map(headers: &[(HeaderName, SecretText)]) -> Result<HeaderMap, UpstreamError> {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        let bad = |_| UpstreamError::Connect {
            detail: format!("the value of the configured header {name} is no header value"),
        };
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
    let pair =
        format!("{}:{}", decoded(url.username()), decoded(url.password().unwrap_or_default()));
    let mut value = HeaderValue::from_str(&format!("Basic {}", STANDARD.encode(pair))).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// Decodes the percent-encoding of a URL's user and password. The decoder is one for forms, in
/// which `+` and `&` have a meaning of their own.
fn decoded(text: &str) -> String {
    let form = text.replace('+', "%2B").replace('&', "%26");
    form_urlencoded::parse(format!("text={form}").as_bytes())
        .map(|(_, value)| value.into_owned())
        .collect()
}

/// There was no connection, so nothing was sent.
fn unreachable(error: &dyn std::error::Error) -> UpstreamError {
    UpstreamError::Connect { detail: with_causes(error) }
}

/// The connection broke, and the request may have arrived.
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
            assert_eq!(
                found.as_ref().map(|value| value.to_str().unwrap().to_owned()),
                expected,
                "{url}"
            );
        }
    }
}
