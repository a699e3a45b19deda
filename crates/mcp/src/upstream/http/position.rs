//! The position in a stream of events, at which it is resumed after it broke. Events are read next
//! door, in [`super::events`].

use std::time::Duration;

use super::events::Decoder;

/// The position up to which a stream was read.
#[derive(Debug, Default)]
pub(super) struct StreamPosition {
    pub(super) last_id: Option<String>,
    retry: Option<Duration>,
    /// A part of the answer was read, or may have been lost.
    pub(super) has_begun: bool,
}

impl StreamPosition {
    pub(super) fn note(&mut self, decoder: &Decoder) {
        if let Some(id) = decoder.last_id() {
            self.last_id = Some(id.to_owned());
        }
        self.retry = decoder.retry().map(Duration::from_millis).or(self.retry);
    }

    pub(super) fn pause(&self) -> Duration {
        self.retry
            .unwrap_or(Duration::from_secs(1))
            .clamp(Duration::from_millis(50), Duration::from_secs(30))
    }
}
