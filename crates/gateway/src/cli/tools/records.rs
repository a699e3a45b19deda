//! Pins as lines of JSON, for programs: what was seen ([`list`]), and what changed ([`diff`]).
//! Names are the servers' own, every other text of theirs is printable.

use std::fmt::Write as _;

use portunus_core::{
    Timestamp,
    pins::{
        Fingerprint, PinKind,
        difference::{Difference, between},
    },
    store::PinRecord,
};
use serde::Serialize;

use super::{approved_before, waiting_in};

#[derive(Serialize)]
struct Row<'a> {
    server: &'a str,
    kind: PinKind,
    /// Empty for instructions.
    name: &'a str,
    state: &'static str,
    fingerprint: Fingerprint,
    /// Milliseconds since 1970.
    seen_at: i64,
    approved_at: Option<i64>,
    /// What is different from what was approved last.
    #[serde(skip_serializing_if = "Option::is_none")]
    changes: Option<Vec<Difference>>,
}

impl<'a> Row<'a> {
    fn of(record: &'a PinRecord) -> Self {
        Self {
            server: record.server.as_str(),
            kind: record.subject.kind,
            name: &record.subject.name,
            state: if record.approved_at.is_some() { "trusted" } else { "waiting" },
            fingerprint: record.fingerprint,
            seen_at: record.seen_at.as_millis(),
            approved_at: record.approved_at.map(Timestamp::as_millis),
            changes: None,
        }
    }
}

pub(super) fn list(records: &[PinRecord], only_waiting: bool) -> anyhow::Result<String> {
    let wanted = records.iter().filter(|record| !only_waiting || record.approved_at.is_none());
    lines(wanted.map(Row::of))
}

pub(super) fn diff(records: &[PinRecord]) -> anyhow::Result<String> {
    let row = |new| {
        let old = approved_before(records, new).map(|old| &old.definition);
        Row { changes: Some(between(old, &new.definition)), ..Row::of(new) }
    };
    lines(waiting_in(records).map(row))
}

fn lines<'a>(rows: impl Iterator<Item = Row<'a>>) -> anyhow::Result<String> {
    let mut text = String::new();
    for row in rows {
        // A name is the server's: what could not be seen is escaped, as JSON allows.
        for c in serde_json::to_string(&row)?.chars() {
            if c.is_ascii() && c != '\u{7f}' {
                text.push(c);
            } else {
                let mut units = [0; 2];
                for unit in c.encode_utf16(&mut units) {
                    // Writing to a string cannot fail.
                    let _ = write!(text, "\\u{unit:04x}");
                }
            }
        }
        text.push('\n');
    }
    Ok(text)
}
