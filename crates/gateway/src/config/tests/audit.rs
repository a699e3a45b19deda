//! The audit trail.

use std::time::Duration;

use super::okta;
use crate::config::{AuditConfig, OnFull, SinkTarget};

#[test]
fn what_is_recorded_and_where_it_goes() {
    let day = Duration::from_secs(24 * 3600);
    let config = okta().load().audit;
    assert_eq!(
        config,
        AuditConfig {
            enabled: true,
            file: None,
            rotate_bytes: 100 * 1024 * 1024,
            keep: Some(365 * day),
            on_full: OnFull::Refuse,
        }
    );
    let text = "audit:\n  file: /var/log/portunus/audit.jsonl\n  rotate_bytes: 1MiB\n  keep: 90d\n  on_full: drop\n";
    let config = okta().yaml(text).load().audit;
    assert_eq!(config.file, Some(SinkTarget::File("/var/log/portunus/audit.jsonl".into())));
    assert_eq!((config.rotate_bytes, config.keep), (1024 * 1024, Some(90 * day)));
    assert_eq!(config.on_full, OnFull::Drop);
    let config = okta().yaml("audit: { enabled: false, file: stdout, keep: off }\n").load().audit;
    assert_eq!((config.enabled, config.file, config.keep), (false, Some(SinkTarget::Stdout), None));
}

#[test]
fn mistakes() {
    for (text, found) in [
        ("audit: { on_full: wait }\n", "`refuse`, `drop`"),
        ("audit: { keep: 1m }\n", "from 1h to 3650d"),
        ("audit: { rotate_bytes: 1KiB }\n", "4KiB at least"),
        ("audit: { enabled: maybe }\n", "true or false"),
    ] {
        okta().yaml(text).one_mistake(&["audit.", found]);
    }
}
