//! Reading the capabilities that a server, or a client, declared.

use crate::wire::{self, Payload};

/// Did the server declare `name`?
pub(crate) fn has(capabilities: &Payload, name: &str) -> bool {
    find(capabilities, name).is_some()
}

/// Did the server declare `flag` of the capability `name` as true?
pub(crate) fn has_flag(capabilities: &Payload, name: &str, flag: &str) -> bool {
    at(capabilities, &[name, flag]).is_some_and(|value| value.as_str() == "true")
}

/// What was declared at this path, if anything.
pub(crate) fn at(capabilities: &Payload, path: &[&str]) -> Option<Payload> {
    path.iter().try_fold(capabilities.clone(), |object, name| find(&object, name))
}

/// The settings of an extension (MCP 2026-07-28, `extensions`): an object, when it was declared.
pub(crate) fn extension(capabilities: &Payload, name: &str) -> Option<Payload> {
    at(capabilities, &["extensions", name]).filter(|settings| settings.as_str().starts_with('{'))
}

fn find(object: &Payload, name: &str) -> Option<Payload> {
    let members = wire::members(object).ok()?;
    members.into_iter().find(|(key, value)| key == name && value.as_str() != "null").map(|(_, value)| value)
}
