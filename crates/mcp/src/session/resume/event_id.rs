//! The ids of events: which stream, and which message of it; of the answer to a call, also which
//! call. The streams are next door.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

use crate::wire::{Payload, RequestId};

/// Ids of requests that are longer do not stand in those of events.
const MAX_REQUEST: usize = 128;

/// Where a stream came from: the answer to a request, or a GET.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    Call,
    Listening,
}

/// Names one event of one stream, uniquely within the session: `c3-7` is the seventh of the third
/// stream, which answers a call. The event of number 0 is the one that tells the client how to come
/// back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct EventId {
    pub(crate) origin: Origin,
    pub(super) stream: u64,
    pub(crate) number: u64,
}

/// An event as a client names it. A call's has the id of its request after it (`c3-7-MQ`), so that
/// a process which knows nothing of the call can answer it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NamedEvent {
    pub(crate) id: EventId,
    pub(crate) request: Option<RequestId>,
}

impl NamedEvent {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (origin, rest) = match text.as_bytes().first()? {
            b'c' => (Origin::Call, &text[1..]),
            b'g' => (Origin::Listening, &text[1..]),
            _ => return None,
        };
        let (stream, rest) = rest.split_once('-')?;
        let (number, request) = match rest.split_once('-') {
            Some((number, request)) if origin == Origin::Call => (number, Some(request)),
            Some(_) => return None,
            None => (rest, None),
        };
        let digits = |text: &str| {
            text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
        };
        let id = EventId { origin, stream: digits(stream)?, number: digits(number)? };
        let request = match request {
            Some(text) => Some(request_id(text)?),
            None => None,
        };
        Some(Self { id, request })
    }
}

fn request_id(text: &str) -> Option<RequestId> {
    let json = URL_SAFE_NO_PAD.decode(text).ok().filter(|json| json.len() <= MAX_REQUEST)?;
    RequestId::from_payload(Payload::from_json(std::str::from_utf8(&json).ok()?).ok()?)
}

/// What follows the ids of events that answer this request.
pub(super) fn tail(request: &RequestId) -> String {
    let raw = request.raw();
    if raw.len() > MAX_REQUEST {
        String::new()
    } else {
        format!("-{}", URL_SAFE_NO_PAD.encode(raw))
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
