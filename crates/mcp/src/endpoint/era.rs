//! Which era a POST belongs to: each has its own way from here on (MCP 2026-07-28, versioning,
//! "Backward Compatibility").

use http::{HeaderMap, StatusCode};

use super::answers;
use crate::{
    answer::Answer,
    era::{self, Era},
    wire::{
        self, Message, code,
        protocol::{header_name, method},
    },
};

/// A revision in the header decides; without one, whether the request says its revision itself.
/// `initialize` belongs to the legacy era, unless the header says otherwise. What is no revision at
/// all is refused on the modern way, which can say what there is.
pub(crate) fn of(message: &Message, map: &HeaderMap) -> Era {
    let (method, params) = match message {
        Message::Request(request) => (request.method.as_str(), request.params.as_ref()),
        Message::Notification(notification) => {
            (notification.method.as_str(), notification.params.as_ref())
        }
        Message::Response(_) => ("", None),
    };
    let says_revision = || {
        params
            .and_then(|params| wire::meta_of(params).ok())
            .is_some_and(|meta| meta.protocol_version.is_some())
    };
    match map.get(header_name::PROTOCOL_VERSION).map(|value| value.to_str().unwrap_or_default()) {
        Some(era::MODERN) => Era::Modern,
        _ if method == method::INITIALIZE => Era::Legacy,
        Some(revision) if era::is_legacy(revision) => Era::Legacy,
        Some(_) => Era::Modern,
        None if says_revision() => Era::Modern,
        None => Era::Legacy,
    }
}

/// GET and DELETE belong to sessions, which the modern era has not.
pub(crate) fn legacy_alone(map: &HeaderMap) -> Result<(), Box<Answer>> {
    let mut values = map.get_all(header_name::PROTOCOL_VERSION).iter();
    match (values.next().map(|value| value.to_str().unwrap_or_default()), values.next()) {
        (None, _) => Ok(()),
        (Some(revision), None) if era::is_legacy(revision) => Ok(()),
        (Some(era::MODERN), None) => {
            let text = "revision 2026-07-28 has neither sessions nor a GET stream: use subscriptions/listen";
            Err(Box::new(answers::error(
                StatusCode::METHOD_NOT_ALLOWED,
                None,
                code::INVALID_REQUEST,
                text,
            )))
        }
        _ => Err(Box::new(answers::bad_request(&format!(
            "unsupported MCP-Protocol-Version: this endpoint speaks {}",
            era::all().collect::<Vec<_>>().join(", ")
        )))),
    }
}
