//! One request to a provider: sent, waited for within a deadline, its body read up to a limit. Who
//! may be asked, and what an answer means, is decided by the callers.

use std::{error::Error as _, time::Duration};

use reqwest::{RequestBuilder, StatusCode, header::HeaderMap};
use serde::de::DeserializeOwned;
use thiserror::Error;
use tokio::time::{Instant, timeout_at};

/// How long any step of a sign-in may take in all, so that the person sees a page within 5 s (F3).
pub(crate) const DEADLINE: Duration = Duration::from_millis(4500);

/// The largest body read from a provider: metadata, keys and token answers are far smaller.
pub(crate) const BODY_LIMIT: usize = 256 * 1024;

/// A whole answer, whatever its status.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

/// Why there is no answer.
#[derive(Clone, Debug, Error)]
pub(crate) enum Trouble {
    #[error("timed out")]
    Timeout,
    #[error("{0}")]
    Transport(String),
    #[error("larger than {limit} bytes")]
    TooLarge { limit: usize },
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    pub(crate) fn json<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_slice(&self.body)
    }

    /// `max-age` of `Cache-Control`, zero for an answer that must not be kept.
    pub(crate) fn max_age(&self) -> Option<Duration> {
        let directives = self.header("cache-control")?.to_ascii_lowercase();
        let mut directives = directives.split(',').map(str::trim);
        if directives.clone().any(|directive| matches!(directive, "no-store" | "no-cache")) {
            return Some(Duration::ZERO);
        }
        let seconds = directives.find_map(|directive| directive.strip_prefix("max-age="))?;
        seconds.trim_matches('"').parse().ok().map(Duration::from_secs)
    }
}

/// Sends the request and reads the answer, all within `patience`.
pub(crate) async fn fetch(request: RequestBuilder, patience: Duration) -> Result<Answer, Trouble> {
    let deadline = Instant::now() + patience;
    timeout_at(deadline, read(request.timeout(patience))).await.map_err(|_| Trouble::Timeout)?
}

async fn read(request: RequestBuilder) -> Result<Answer, Trouble> {
    let mut response = request.send().await.map_err(|error| transport(&error.without_url()))?;
    let too_large = Trouble::TooLarge { limit: BODY_LIMIT };
    if response.content_length().is_some_and(|length| length > BODY_LIMIT as u64) {
        return Err(too_large);
    }
    let mut body = Vec::new();
    while let Some(chunk) =
        response.chunk().await.map_err(|error| transport(&error.without_url()))?
    {
        if body.len() + chunk.len() > BODY_LIMIT {
            return Err(too_large);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Answer { status: response.status(), headers: response.headers().clone(), body })
}

/// The whole chain of causes: "connection refused" is at its end.
fn transport(error: &reqwest::Error) -> Trouble {
    if error.is_timeout() {
        return Trouble::Timeout;
    }
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    Trouble::Transport(match in_words(&text) {
        Some(words) => format!("{words} ({text})"),
        None => text,
    })
}

/// What a failed handshake means to the administrator who set up the provider (FB68, FB88).
fn in_words(error: &str) -> Option<&'static str> {
    if error.contains("InvalidContentType")
        || error.contains("invalid content type")
        || error.contains("wrong version number")
    {
        return Some(
            "what answers at this https address speaks no TLS: it may be a port for http, or a proxy that ends TLS elsewhere",
        );
    }
    if error.contains("UnknownIssuer")
        || error.contains("unable to get local issuer")
        || error.contains("self-signed")
    {
        return Some(
            "its certificate is signed by an authority that this machine does not trust: name the file with that authority's certificate in PROVIDER_CA_FILE",
        );
    }
    if error.contains("NotValidForName") || error.contains("not valid for name") {
        return Some("its certificate is for another name");
    }
    if error.contains("Expired") || error.contains("certificate expired") {
        return Some("its certificate has expired, or this machine's clock is wrong");
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fb88_the_words_for_a_failed_handshake() {
        for (error, words) in [
            (
                "client error (Connect): received corrupt message of type InvalidContentType",
                Some("speaks no TLS"),
            ),
            ("invalid peer certificate: UnknownIssuer", Some("PROVIDER_CA_FILE")),
            ("invalid peer certificate: NotValidForName", Some("another name")),
            ("invalid peer certificate: Expired", Some("expired")),
            ("tcp connect error: Connection refused (os error 111)", None),
        ] {
            let found = in_words(error);
            assert_eq!(found.is_some(), words.is_some(), "{error}");
            assert!(
                found.unwrap_or_default().contains(words.unwrap_or_default()),
                "{error}: {found:?}"
            );
        }
    }
}
