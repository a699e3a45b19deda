//! Calls of tools, prompts and resources, and proxied requests: how long and how large they are by
//! server, how many of them by name as well. A name becomes a series when its server has answered
//! to it, and only as long as there are fewer than [`MOST`]: names that callers make up do not, and
//! URIs never.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use hashbrown::Equivalent;
use portunus_core::{
    audit::{Call, CallKind, CallOutcome},
    latency::Latencies,
};

use super::table::Table;

/// Series by name; calls of what would be one more are counted as [`OTHER`].
pub(super) const MOST: usize = 2_000;
/// Series of servers, and of calls without a name: there are as many as the configuration has.
const MOST_WITHOUT_NAME: usize = 20_000;
/// The name of what has no series of its own. It is no name by MCP's rules (2025-11-25, tool
/// names), and a tool that is called so all the same gets no series.
pub(super) const OTHER: &str = "<other>";
/// The server of what no server has.
const NO_SERVER: &str = "";

#[derive(Default)]
pub struct Calls {
    named: Table<CallKey, AtomicU64>,
    unnamed: Table<CallKey, AtomicU64>,
    servers: Table<Whose, Figures>,
}

/// What is counted.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallKey {
    pub server: Box<str>,
    pub name: Box<str>,
    pub kind: &'static str,
    pub outcome: &'static str,
}

/// Whose figures.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Whose {
    pub server: Box<str>,
    pub kind: &'static str,
}

/// How long the calls of one kind at one server took, and how large they were.
#[derive(Default)]
pub struct Figures {
    pub took: Latencies,
    pub request_bytes: AtomicU64,
    pub answer_bytes: AtomicU64,
}

/// [`CallKey`], borrowed.
#[derive(Clone, Copy, Hash)]
struct CallKeyRef<'a> {
    server: &'a str,
    name: &'a str,
    kind: &'static str,
    outcome: &'static str,
}

/// [`Whose`], borrowed.
#[derive(Clone, Copy, Hash)]
struct WhoseRef<'a> {
    server: &'a str,
    kind: &'static str,
}

impl Equivalent<CallKey> for CallKeyRef<'_> {
    fn equivalent(&self, key: &CallKey) -> bool {
        *self.server == *key.server
            && *self.name == *key.name
            && self.kind == key.kind
            && self.outcome == key.outcome
    }
}

impl Equivalent<Whose> for WhoseRef<'_> {
    fn equivalent(&self, key: &Whose) -> bool {
        *self.server == *key.server && self.kind == key.kind
    }
}

impl From<CallKeyRef<'_>> for CallKey {
    fn from(key: CallKeyRef<'_>) -> Self {
        let CallKeyRef { server, name, kind, outcome } = key;
        Self { server: server.into(), name: name.into(), kind, outcome }
    }
}

impl Calls {
    pub(super) fn note(&self, call: &Call) {
        let (server, kind) = (call.server.as_deref().unwrap_or(NO_SERVER), call.kind.word());
        let outcome = CallKeyRef { server, name: &call.name, kind, outcome: call.outcome.word() };
        if let Some(count) = self.count(call, outcome) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        let figures = self
            .servers
            .find(&WhoseRef { server, kind })
            .or_else(|| self.servers.add(Whose { server: server.into(), kind }, MOST_WITHOUT_NAME));
        if let Some(figures) = figures {
            figures.took.note(Duration::from_millis(call.ms));
            figures.request_bytes.fetch_add(call.request_bytes, Ordering::Relaxed);
            figures.answer_bytes.fetch_add(call.answer_bytes, Ordering::Relaxed);
        }
    }

    fn count(&self, call: &Call, outcome: CallKeyRef<'_>) -> Option<Arc<AtomicU64>> {
        let is_named = matches!(call.kind, CallKind::Tool | CallKind::Prompt);
        if is_named && let Some(count) = self.named.find(&outcome) {
            return Some(count);
        }
        // Names that callers make up are refused, or are errors of the server.
        let is_known = is_named
            && call.name != OTHER
            && (matches!(call.outcome, CallOutcome::Ok | CallOutcome::ToolError)
                || self.has_answered(outcome));
        let named = is_known.then(|| self.named.add(outcome.into(), MOST)).flatten();
        named.or_else(|| {
            let unnamed = CallKeyRef { name: if is_named { OTHER } else { "" }, ..outcome };
            let known = self.unnamed.find(&unnamed);
            known.or_else(|| self.unnamed.add(unnamed.into(), MOST_WITHOUT_NAME))
        })
    }

    /// Has the server answered to that name before?
    fn has_answered(&self, outcome: CallKeyRef<'_>) -> bool {
        [CallOutcome::Ok, CallOutcome::ToolError].iter().any(|answered| {
            self.named.find(&CallKeyRef { outcome: answered.word(), ..outcome }).is_some()
        })
    }

    /// Those of each server, by kind.
    pub fn servers(&self) -> Vec<(Whose, Arc<Figures>)> {
        self.servers.read()
    }

    /// How many there were.
    pub fn outcomes(&self) -> Vec<(CallKey, u64)> {
        let (named, unnamed) = (self.named.read(), self.unnamed.read());
        let all = named.into_iter().chain(unnamed);
        all.map(|(key, count)| (key, count.load(Ordering::Relaxed))).collect()
    }
}
