//! The kind of an answer's body, by its media type. Bodies are read next door, in [`super::body`]
//! and [`super::events`].

use http::{Response, header};

pub(super) const JSON: &str = "application/json";
pub(super) const EVENT_STREAM: &str = "text/event-stream";
/// What a POST accepts (MCP 2025-11-25, transports, "Sending Messages to the Server").
pub(super) const EITHER: &str = "application/json, text/event-stream";

/// The kind of body that an answer declares.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Media {
    Json,
    Events,
    Unsaid,
    Other(String),
}

impl Media {
    /// Media types are compared without case (RFC 9110 section 8.3.1), and JSON has several.
    pub(super) fn of<B>(response: &Response<B>) -> Self {
        let value = response
            .headers()
            .get(header::CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default();
        let essence = value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        match essence.as_str() {
            "" => Self::Unsaid,
            EVENT_STREAM => Self::Events,
            JSON | "text/json" | "application/json-rpc" | "application/jsonrequest" => Self::Json,
            json if json.ends_with("+json") => Self::Json,
            _ => Self::Other(essence),
        }
    }
}
