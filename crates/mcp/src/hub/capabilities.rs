//! Reading the capabilities that a server declared.

use crate::wire::{self, Payload};

/// Did the server declare `name`?
pub(crate) fn has(capabilities: &Payload, name: &str) -> bool {
    find(capabilities, name).is_some()
}

/// Did the server declare `flag` of the capability `name` as true?
pub(crate) fn has_flag(capabilities: &Payload, name: &str, flag: &str) -> bool {
    find(capabilities, name).and_then(|capability| find(&capability, flag)).is_some_and(|value| value.as_str() == "true")
}

fn find(object: &Payload, name: &str) -> Option<Payload> {
    let members = wire::members(object).ok()?;
    members.into_iter().find(|(key, value)| key == name && value.as_str() != "null").map(|(_, value)| value)
}
