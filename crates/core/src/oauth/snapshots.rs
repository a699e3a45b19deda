//! How the tests of the rules next door write down whole documents, for snapshots to compare.

use serde::Serialize;

/// A document with a line for each member.
pub(crate) fn members(document: &impl Serialize) -> String {
    let document = serde_json::to_value(document).unwrap();
    let members = document.as_object().unwrap().iter();
    members.map(|(name, value)| format!("{name}: {value}")).collect::<Vec<_>>().join("\n")
}
