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
            syslog: None,
            otlp: None,
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
        ("audit: { syslog: { address: siem.example.com } }\n", "a host and a port"),
        ("audit: { syslog: { address: \"tcp://siem.example.com:601\" } }\n", "a host and a port"),
        ("audit: { syslog: { facility: local1 } }\n", "address"),
        ("audit: { syslog: { address: \"siem:601\", facility: local9 } }\n", "`local7`"),
        ("audit: { syslog: { address: \"siem:601\", tls: yes-please } }\n", "true or false"),
        ("audit: { syslog: { address: \"siem:601\", ca_file: ca.pem } }\n", "`tls: true`"),
        (
            "audit: { syslog: { address: \"siem:601\", structured_data_id: portunus } }\n",
            "portunus@32473",
        ),
        ("audit: { otlp: { endpoint: \"https://user:secret@otlp.example.com\" } }\n", "`headers`"),
        (
            "audit: { otlp: { endpoint: \"https://otlp.example.com\", headers: { Host: a } } }\n",
            "sets this one itself",
        ),
        (
            "audit: { otlp: { endpoint: \"https://otlp.example.com\", headers_file: nowhere } }\n",
            "can be read",
        ),
    ] {
        okta().yaml(text).one_mistake(&["audit.", found]);
    }
}

#[test]
fn where_records_are_sent() {
    let text = "audit:\n  syslog: { address: \"siem.example.com:6514\", tls: true, facility: local4 }\n  otlp:\n    endpoint: https://otlp.example.com/tenant/\n    headers: { Authorization: \"Bearer ${TOKEN}\" }\n";
    let config = okta().env(&[("TOKEN", "obviously-fake")]).yaml(text).load().audit;
    let syslog = config.syslog.unwrap();
    assert_eq!((syslog.address.as_str(), syslog.facility), ("siem.example.com:6514", 20));
    assert!(syslog.tls && syslog.secured.is_some());
    assert_eq!(syslog.structured_data_id, "portunus@32473");
    let otlp = config.otlp.unwrap();
    assert_eq!(otlp.url.as_str(), "https://otlp.example.com/tenant/v1/logs");
    assert_eq!(otlp.header_map()["authorization"], "Bearer obviously-fake");
    assert!(!format!("{otlp:?}").contains("obviously-fake"));
    let text = "audit:\n  syslog: { address: \"[::1]:601\" }\n  otlp: { endpoint: \"http://127.0.0.1:4318/v1/logs\" }\n";
    let config = okta().yaml(text).load().audit;
    assert_eq!(config.syslog.map(|syslog| (syslog.facility, syslog.tls)), Some((13, false)));
    assert_eq!(config.otlp.unwrap().url.path(), "/v1/logs");
}
