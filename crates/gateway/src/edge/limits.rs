//! How much a request may bring, and in which form.

use http::{HeaderMap, header};

/// The most bytes of a form: no honest one is near it (threat 23).
pub const FORM: usize = 64 * 1024;
/// The most bytes of what a client says of itself, its keys included. Strangers fill the disk with
/// it: `max_unused` times (threat 63).
pub const CLIENT_METADATA: usize = 16 * 1024;

/// Is the body declared as JSON?
pub fn is_json(headers: &HeaderMap) -> bool {
    media_type(headers)
        .is_some_and(|media_type| media_type.eq_ignore_ascii_case("application/json"))
}

/// Is the body declared as a form?
pub fn is_form(headers: &HeaderMap) -> bool {
    media_type(headers).is_some_and(|media_type| {
        media_type.eq_ignore_ascii_case("application/x-www-form-urlencoded")
    })
}

/// The media type without its parameters; `None` if there is none, or more than one.
fn media_type(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(header::CONTENT_TYPE).iter();
    let value = values.next()?.to_str().ok()?;
    if values.next().is_some() {
        return None;
    }
    Some(value.split(';').next().unwrap_or_default().trim())
}
