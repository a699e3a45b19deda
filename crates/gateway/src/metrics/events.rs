//! What the gateway tells the audit log, but for calls, counted by kind: sign-ins by provider,
//! refusals by reason. All sets are closed, and each series is there at 0 from the start: one that
//! began with its first event would show no increase by it. Providers are those of the
//! configuration.

use std::sync::atomic::{AtomicU64, Ordering};

use portunus_core::audit::{Event, RefusalReason};

use super::table::Table;

/// Far more than there are kinds, reasons and providers.
const MOST: usize = 1_000;

/// Words of events that no gateway is told: those that the writer of a chain makes, those of
/// commands, and calls, which are counted next door. docs/metrics.md names them.
pub(super) const NOT_COUNTED: [&str; 13] = [
    "started",
    "stopped",
    "checkpoint",
    "expired",
    "dropped",
    "not_sent",
    "clock_changed",
    "key_created",
    "pin_approved",
    "disabled",
    "enabled",
    "command",
    "call",
];
/// Events with a series for each provider, or reason.
const OF_PROVIDERS: [&str; 2] = ["signed_in", "signed_out"];
const REFUSED: &str = "refused";

/// By event and detail.
pub struct Events(Table<(&'static str, String), AtomicU64>);

impl Default for Events {
    fn default() -> Self {
        let table = Table::default();
        let has_details = |word: &str| word == REFUSED || OF_PROVIDERS.contains(&word);
        let counted = Event::WORDS.iter().filter(|word| !NOT_COUNTED.contains(word));
        for word in counted.filter(|word| !has_details(word)) {
            table.add((*word, String::new()), MOST);
        }
        for reason in RefusalReason::ALL {
            table.add((REFUSED, reason.word().to_owned()), MOST);
        }
        Self(table)
    }
}

impl Events {
    /// People may sign in there from now on.
    pub(super) fn expect_provider(&self, provider: &str) {
        for word in OF_PROVIDERS {
            self.0.add((word, provider.to_owned()), MOST);
        }
    }

    pub(super) fn note(&self, event: &Event) {
        let detail = match event {
            Event::SignedIn { provider } | Event::SignedOut { provider } => provider.clone(),
            event => event.outcome().unwrap_or_default().to_owned(),
        };
        let key = (event.word(), detail);
        let count = self.0.find(&key).or_else(|| self.0.add(key, MOST));
        if let Some(count) = count {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub fn read(&self) -> Vec<((&'static str, String), u64)> {
        let counts = self.0.read().into_iter();
        counts.map(|(key, count)| (key, count.load(Ordering::Relaxed))).collect()
    }
}
