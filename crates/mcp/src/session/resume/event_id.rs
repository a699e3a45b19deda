//! The ids of events: which stream, and which message of it. The streams are next door.

use std::fmt;

/// Where a stream came from: the answer to a request, or a GET.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    Call,
    Listening,
}

/// Names one event of one stream, uniquely within the session: `c3-7` is the seventh of the third stream, which answers a call. The event
/// of number 0 is the one that tells the client how to come back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct EventId {
    pub(crate) origin: Origin,
    pub(super) stream: u64,
    pub(crate) number: u64,
}

impl EventId {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (origin, rest) = match text.as_bytes().first()? {
            b'c' => (Origin::Call, &text[1..]),
            b'g' => (Origin::Listening, &text[1..]),
            _ => return None,
        };
        let (stream, number) = rest.split_once('-')?;
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten();
        Some(Self { origin, stream: digits(stream)?, number: digits(number)? })
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let letter = match self.origin {
            Origin::Call => 'c',
            Origin::Listening => 'g',
        };
        write!(f, "{letter}{}-{}", self.stream, self.number)
    }
}
