//! Which era a POST belongs to. Each has its own path from here on; the modern one (2026-07-28) is not served yet, and says so
//! in a way that makes a client of both eras fall back to `initialize`.

use http::HeaderMap;

use super::{answers, headers};
use crate::{answer::Answer, era, wire::Message};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Era {
    Legacy,
}

/// `initialize` negotiates in its body; everything else declares its revision in a header. Without one, a request counts as
/// 2025-03-26, which had no such header.
pub(crate) fn of(message: &Message, map: &HeaderMap) -> Result<Era, Box<Answer>> {
    match message {
        Message::Request(request) if request.method == "initialize" => Ok(Era::Legacy),
        _ => declared(map),
    }
}

/// By the `MCP-Protocol-Version` header alone.
pub(crate) fn declared(map: &HeaderMap) -> Result<Era, Box<Answer>> {
    let mut values = map.get_all(headers::PROTOCOL_VERSION).iter();
    let (first, second) = (values.next(), values.next());
    let known = match first {
        None => true,
        Some(value) => second.is_none() && value.to_str().is_ok_and(era::is_legacy),
    };
    if known { Ok(Era::Legacy) } else { Err(Box::new(answers::bad_request(&unsupported()))) }
}

fn unsupported() -> String {
    format!("unsupported MCP-Protocol-Version: this endpoint speaks {}", era::LEGACY.join(", "))
}
