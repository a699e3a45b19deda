//! The position in a stream of events, at which it is resumed after it broke. Events are read next
//! door, in [`super::events`].

use std::time::Duration;

use http::HeaderValue;

use super::events::Decoder;

/// The position up to which a stream was read.
#[derive(Debug, Default)]
pub(super) struct StreamPosition {
    /// As it stands in `Last-Event-ID`.
    pub(super) last_id: Option<HeaderValue>,
    retry: Option<Duration>,
    /// A part of the answer was read, or may have been lost.
    pub(super) has_begun: bool,
}

impl StreamPosition {
    pub(super) fn note(&mut self, decoder: &Decoder) {
        if let Some(id) = decoder.last_id() {
            self.last_id = header(id);
        }
        self.retry = decoder.retry().map(Duration::from_millis).or(self.retry);
    }

    pub(super) fn pause(&self) -> Duration {
        self.retry
            .unwrap_or(Duration::from_secs(1))
            .clamp(Duration::from_millis(50), Duration::from_secs(30))
    }
}

/// `None`: a stream cannot be resumed after this id. An empty one takes the position back (WHATWG
/// HTML, section 9.2.6).
fn header(id: &str) -> Option<HeaderValue> {
    HeaderValue::from_bytes(id.as_bytes()).ok().filter(|id| !id.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_resumed_after_the_last_event_that_was_whole() {
        for (streams, expected) in [
            (&["id: 1\ndata: a\n\nid: 2\ndata: cut"][..], Some("1")),
            (&["id: 1\n\n", "data: without\n\n"], Some("1")),
            (&["id: 1\n\n", "id: 2\n"], Some("1")),
            (&["id: 1\n\n", "id: 2\n\n"], Some("2")),
            (&["id: 1\n\n", "id:\n\n"], None),
            (&["id: é\n\n"], Some("é")),
            (&["id: 1\n\n", "id: a\u{1}b\n\n"], None),
        ] {
            let mut position = StreamPosition::default();
            for stream in streams {
                let mut decoder = Decoder::new(100);
                decoder.feed(stream.as_bytes()).unwrap();
                position.note(&decoder);
            }
            let found = position.last_id.as_ref().map(HeaderValue::as_bytes);
            assert_eq!(found, expected.map(str::as_bytes), "{streams:?}");
        }
    }
}
