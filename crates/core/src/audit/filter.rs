//! Which records are wanted.

use std::time::Duration;

use super::{entry::AuditRecord, event::Event};
use crate::clock::Timestamp;

/// How far a clock is expected to go back at most.
const CLOCK_BACK: Duration = Duration::from_secs(3600);

/// Which records are wanted; what is left out wants all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditFilter {
    /// A user's id, subject or e-mail address, or an account of the machine.
    pub person: Option<String>,
    pub client: Option<String>,
    /// An agent key's id.
    pub agent_key: Option<String>,
    pub server: Option<String>,
    /// Of a tool or prompt, or the URI of a resource.
    pub tool: Option<String>,
    /// How it ended, or why it was refused.
    pub outcome: Option<String>,
    /// What happened.
    pub event: Option<String>,
    /// From here on, and before.
    pub since: Option<Timestamp>,
    pub until: Option<Timestamp>,
}

impl AuditFilter {
    /// Is what stands before a record of this time too old, though clocks went back meanwhile?
    pub fn is_over(&self, at: Timestamp) -> bool {
        self.since.is_some_and(|since| at + CLOCK_BACK < since)
    }

    fn covers(&self, at: Timestamp) -> bool {
        self.since.is_none_or(|since| at >= since) && self.until.is_none_or(|until| at < until)
    }

    pub fn matches(&self, record: &AuditRecord) -> bool {
        let is = |wanted: &Option<String>, found: Option<&str>| {
            wanted.as_deref().is_none_or(|wanted| found == Some(wanted))
        };
        let (server, tool) = match &record.event {
            Event::Call(call) => (call.server.as_deref(), Some(call.name.as_str())),
            Event::PinApproved { server, name, .. } => (Some(server.as_str()), Some(name.as_str())),
            _ => (None, None),
        };
        self.covers(record.at)
            && self.person.as_deref().is_none_or(|wanted| is_called(record, wanted))
            && is(&self.client, record.person.client.as_deref())
            && is(&self.agent_key, record.person.agent_key.as_deref())
            && is(&self.server, server)
            && is(&self.tool, tool)
            && is(&self.outcome, record.event.outcome())
            && is(&self.event, Some(record.event.word()))
    }
}

fn is_called(record: &AuditRecord, wanted: &str) -> bool {
    let person = &record.person;
    [&person.user, &person.subject, &person.account].into_iter().flatten().any(|id| id == wanted)
        || person.email.as_ref().is_some_and(|email| email.to_lowercase() == wanted.to_lowercase())
}
