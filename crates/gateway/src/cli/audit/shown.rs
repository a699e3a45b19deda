//! One record in one line, for people.

use std::fmt::Write as _;

use portunus_core::{
    audit::{AuditRecord, ChainedRecord},
    text::visible,
};
use serde_json::Value;

use super::time;

/// Members that stand at fixed places of the line, or are left out of it.
const APART: [&str; 12] = [
    "chain",
    "seq",
    "at",
    "node",
    "event",
    "user",
    "subject",
    "email",
    "client",
    "account",
    "address",
    "request_id",
];

/// `time  event  who  client  from  what else  (chain number)`.
pub(super) fn line(record: &ChainedRecord) -> String {
    let place = format!("({} {})", record.chain, record.seq);
    let Some(read) = record.read() else {
        return visible(&format!("{}  unreadable  {place}", time::written(record.at)));
    };
    let AuditRecord { at, person, origin, event, .. } = read;
    let key = person.agent_key.as_ref().map(|key| format!("key {key}"));
    let mut text = format!("{}  {}", time::written(at), event.word());
    let who = person.email.or(person.subject).or(person.user).or(person.account);
    let client = person.client.map(|client| format!("with {client}"));
    let from = origin.address.map(|address| format!("from {address}"));
    for part in [who, client, key, from].into_iter().flatten() {
        let _ = write!(text, "  {part}");
    }
    if let Ok(Value::Object(members)) = serde_json::to_value(&event) {
        for (name, value) in members.iter().filter(|(name, _)| !APART.contains(&name.as_str())) {
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            let _ = write!(text, "  {name}={value}");
        }
    }
    let _ = write!(text, "  {place}");
    // Names were chosen by strangers.
    visible(&text)
}
