//! Reading the capabilities that a server, or a client, declared.

use super::{Payload, members::find_member};

/// Did the server declare `name`?
pub(crate) fn has(capabilities: &Payload, name: &str) -> bool {
    has_at(capabilities, &[name])
}

/// Did the server declare something at this path?
pub(crate) fn has_at(capabilities: &Payload, path: &[&str]) -> bool {
    find_member(capabilities, path).is_some()
}

/// Did the server declare `flag` of the capability `name` as true?
pub(crate) fn has_flag(capabilities: &Payload, name: &str, flag: &str) -> bool {
    find_member(capabilities, &[name, flag]).is_some_and(|value| value.as_str() == "true")
}

/// The settings of an extension (MCP 2026-07-28, `extensions`): an object, when it was declared.
pub(crate) fn extension(capabilities: &Payload, name: &str) -> Option<Payload> {
    find_member(capabilities, &["extensions", name])
        .filter(|settings| settings.as_str().starts_with('{'))
}
