//! What the configuration says of the audit trail.

use std::{path::PathBuf, time::Duration};

/// The section `audit`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditConfig {
    pub enabled: bool,
    /// Where records go beside the store.
    pub sink: Option<SinkTarget>,
    /// A file that has become larger than this many bytes is put aside.
    pub rotate_bytes: u64,
    /// How old records become; `None`: they stay.
    pub keep: Option<Duration>,
    pub on_full: OnFull,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SinkTarget {
    Stdout,
    File(PathBuf),
}

/// What becomes of requests when records come faster than the store takes them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnFull {
    /// They wait, and are refused with 503 when that does not help.
    #[default]
    Refuse,
    /// They pass. What is not recorded is counted, and the count is recorded.
    Drop,
}

impl Default for AuditConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            sink: None,
            rotate_bytes: 100 * 1024 * 1024,
            keep: Some(Duration::from_secs(365 * 24 * 3600)),
            on_full: OnFull::default(),
        }
    }
}
