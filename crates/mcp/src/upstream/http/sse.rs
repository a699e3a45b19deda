//! A server on the HTTP+SSE transport of revision 2024-11-05: one stream of events for all messages
//! of the server, whose first event has the URL that messages are posted to. Streamable HTTP is
//! next door, in [`super::link`].

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt as _, stream::BoxStream};
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use http_body_util::BodyExt as _;
use portunus_core::secret::SecretText;
use url::Url;

use super::{
    client::{HttpClient, Target, broken, header_map},
    coding::BodyError,
    events::{Decoder, ServerEvent},
    media,
};
use crate::{
    upstream::{
        connect_options::ConnectOptions,
        error::UpstreamError,
        inbox::Inbox,
        link::{Link, Outgoing},
    },
    wire::protocol::header_name,
};

/// How long a POST may take. The answer to its message comes on the stream.
const POST_TIMEOUT: Duration = Duration::from_secs(30);

pub(in crate::upstream) struct SseLink {
    endpoint: Target,
    headers: HeaderMap,
    version: OnceLock<HeaderValue>,
}

impl SseLink {
    /// Opens the stream and waits for the endpoint.
    pub(in crate::upstream) async fn open(
        http: HttpClient,
        url: Url,
        headers: &[(HeaderName, SecretText)],
        inbox: &Arc<Inbox>,
        options: &ConnectOptions,
    ) -> Result<Arc<dyn Link>, UpstreamError> {
        inbox.open_log(headers.iter().map(|(_, value)| value));
        let mut headers = header_map(headers)?;
        let stream = Target::new(http.clone(), url.clone(), &mut headers)?;
        let mut own = headers.clone();
        own.insert(header::ACCEPT, HeaderValue::from_static(media::EVENT_STREAM));
        let response = stream.send(Method::GET, own, Bytes::new()).await?;
        if !response.status().is_success() {
            return Err(UpstreamError::Status {
                status: response.status().as_u16(),
                words: String::new(),
            });
        }
        let mut body = response.into_body().into_data_stream().boxed();
        let mut decoder = Decoder::new(options.max_message);
        let mut early = Early::default();
        let endpoint = loop {
            let chunk = body.next().await.ok_or_else(|| {
                UpstreamError::protocol("the stream ended before its endpoint event")
            })?;
            let mut found = None;
            for event in decoder.feed(&chunk.map_err(|error| broken(&*error))?)? {
                match event.kind.as_str() {
                    "endpoint" if found.is_none() => found = Some(endpoint(&url, &event.data)?),
                    "message" => early.add(event, options.max_message)?,
                    _ => {}
                }
            }
            if let Some(found) = found {
                break found;
            }
        };
        let endpoint = Target::new(http, endpoint, &mut headers)?;
        let inbox = Arc::clone(inbox);
        tokio::spawn(async move {
            let closed = inbox.closed().clone();
            let reason = tokio::select! {
                () = closed.cancelled() => return,
                reason = pump(body, decoder, &early.events, &inbox) => reason,
            };
            inbox.close(&reason);
        });
        Ok(Arc::new(Self { endpoint, headers, version: OnceLock::new() }))
    }
}

/// Messages that came before the endpoint. Servers have no reason to send any: a few are kept,
/// together no larger than one message may be (threat 56).
#[derive(Default)]
struct Early {
    events: Vec<ServerEvent>,
    bytes: usize,
}

const MAX_EARLY: usize = 32;

impl Early {
    fn add(&mut self, event: ServerEvent, max_bytes: usize) -> Result<(), UpstreamError> {
        self.bytes += event.data.len();
        if self.events.len() >= MAX_EARLY || self.bytes > max_bytes {
            return Err(UpstreamError::protocol(
                "too much came on the event stream before its endpoint event",
            ));
        }
        self.events.push(event);
        Ok(())
    }
}

/// The URL to post to. It must have the same origin, or the configured credentials would go
/// elsewhere.
fn endpoint(url: &Url, data: &[u8]) -> Result<Url, UpstreamError> {
    let bad = |what: &str| UpstreamError::protocol(format!("the endpoint event {what}"));
    let text = std::str::from_utf8(data).map_err(|_| bad("is no text"))?;
    let endpoint = url.join(text.trim()).map_err(|_| bad("has no URL"))?;
    if endpoint.origin() != url.origin()
        || !endpoint.username().is_empty()
        || endpoint.password().is_some()
    {
        return Err(bad("leads to another origin"));
    }
    Ok(endpoint)
}

/// Puts messages into the inbox until the stream ends; returns the reason of the end.
async fn pump(
    mut body: BoxStream<'static, Result<Bytes, BodyError>>,
    mut decoder: Decoder,
    early: &[ServerEvent],
    inbox: &Inbox,
) -> UpstreamError {
    let deliver = |event: &ServerEvent| {
        if event.kind == "message" {
            inbox.deliver(&Bytes::copy_from_slice(&event.data), None);
        }
    };
    early.iter().for_each(deliver);
    while let Some(chunk) = body.next().await {
        match chunk.map_err(|error| broken(&*error)).and_then(|chunk| decoder.feed(&chunk)) {
            Ok(events) => events.iter().for_each(deliver),
            Err(error) => {
                return UpstreamError::closed(format!(
                    "the event stream broke: {error}: {}",
                    error.detail().unwrap_or_default()
                ));
            }
        }
    }
    UpstreamError::closed("the server ended the event stream")
}

#[async_trait]
impl Link for SseLink {
    async fn send(&self, outgoing: Outgoing) -> Result<(), UpstreamError> {
        let mut headers = self.headers.clone();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media::JSON));
        if let Some(version) = self.version.get() {
            headers.insert(header_name::PROTOCOL_VERSION, version.clone());
        }
        let request = self.endpoint.send(Method::POST, headers, outgoing.message);
        let response = tokio::time::timeout(POST_TIMEOUT, request)
            .await
            .map_err(|_| UpstreamError::Timeout)??;
        match response.status() {
            status if status.is_success() => Ok(()),
            status => Err(UpstreamError::Status { status: status.as_u16(), words: String::new() }),
        }
    }

    fn answers_inline(&self) -> bool {
        false
    }

    fn complete_handshake(&self, protocol_version: &str) {
        if let Ok(version) = HeaderValue::from_str(protocol_version) {
            let _ = self.version.set(version);
        }
    }

    /// Does nothing: the stream ends with the inbox.
    async fn close(&self) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t56_what_comes_before_the_endpoint_has_a_bound() {
        let event = |length: usize| ServerEvent {
            kind: "message".to_owned(),
            data: vec![b'x'; length],
            id: None,
        };
        let mut early = Early::default();
        assert!(
            (0..MAX_EARLY).all(|_| early.add(event(1), 100).is_ok())
                && early.add(event(1), 100).is_err()
        );
        let mut early = Early::default();
        assert!(early.add(event(60), 100).is_ok() && early.add(event(41), 100).is_err());
    }

    #[test]
    fn endpoints_stay_at_their_origin() {
        let url = Url::parse("https://a.example/sse?x=1").unwrap();
        for (data, expected) in [
            ("/messages?s=1", "https://a.example/messages?s=1"),
            ("https://a.example:443/m", "https://a.example/m"),
        ] {
            assert_eq!(endpoint(&url, data.as_bytes()).unwrap().as_str(), expected);
        }
        for bad in [
            "https://b.example/m",
            "//b.example/m",
            "http://a.example/m",
            "https://a.example:444/m",
            "https://u:p@a.example/m",
            "javascript:1",
        ] {
            assert!(endpoint(&url, bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
