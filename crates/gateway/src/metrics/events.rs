//! What the audit trail records, but for calls, counted by kind: sign-ins by provider, refusals by
//! reason. Both sets are closed: providers are those of the configuration.

use std::sync::atomic::{AtomicU64, Ordering};

use portunus_core::audit::Event;

use super::table::Table;

/// Far more than there are kinds, reasons and providers.
const MOST: usize = 1_000;

/// By event and detail.
#[derive(Default)]
pub struct Events(Table<(&'static str, String), AtomicU64>);

impl Events {
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
