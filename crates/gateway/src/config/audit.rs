//! Section: the audit trail. What becomes of it is [`crate::audit`]'s.

use std::{path::PathBuf, time::Duration};

use portunus_core::{
    settings,
    settings::{
        Choice, Custom, FLAG, SIZE, Setting, Settings as _, ValueType, choice, custom, duration,
    },
};

use super::{
    audit_targets::{self, OTLP, OtlpConfig, SyslogConfig},
    inputs::Inputs,
    mistake::Report,
};

pub(super) const AUDIT: Setting = Setting::new(
    "audit",
    ValueType::Section(&AuditConfig::SECTION),
    "What is recorded of what people and clients do (docs/audit.md)",
)
.needs_restart();

settings! {
    /// What is recorded, and what becomes of it.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct AuditConfig: "The audit trail (docs/audit.md)" {
        given {
            /// `None`: no receiver.
            syslog: Option<Box<SyslogConfig>>,
            /// `None`: no collector.
            otlp: Option<Box<OtlpConfig>>,
        }

        enabled: bool = "true", FLAG, "Is anything recorded?";
        /// Where records go beside the store.
        file: Option<SinkTarget> = "off", FILE,
            "A file that the records go to as well, as lines of JSON; `stdout`: standard output";
        /// A file that would become larger is put aside.
        rotate_bytes: usize = "100MiB", SIZE.at_least("4KiB", "one record has to find room"),
            "A file that would become larger is put aside, as `FILE.1`; ten are kept";
        /// How old records become; `None`: they stay.
        keep: Option<Duration> = "365d", duration("1h", "3650d").or_off(),
            "How old records become before they are deleted; `off`: they stay";
        on_full: OnFull = "refuse", ON_FULL,
            "When the store does not take the records: requests get 503 (refuse), or they pass and what is not recorded is counted (drop)";
        key syslog: ValueType::Section(&SyslogConfig::SECTION),
            "A syslog receiver that the records go to as well, over TCP or TLS";
        key otlp: ValueType::Section(&OTLP),
            "A collector of OpenTelemetry that the records go to as well, over HTTP";
    }
}

impl Default for AuditConfig {
    fn default() -> Self {
        Self::with_defaults(None, None)
    }
}

/// Where lines of records go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SinkTarget {
    Stdout,
    File(PathBuf),
}

/// What becomes of requests when records come faster than the store takes them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnFull {
    /// They wait, and are refused with 503 when that does not help.
    Refuse,
    /// They pass. What is not recorded is counted, and the count is recorded.
    Drop,
}

const ON_FULL: Choice<OnFull> = choice(&["refuse", "drop"], &[OnFull::Refuse, OnFull::Drop]);

const FILE: Custom<Option<SinkTarget>> = custom(ValueType::Text, |text| {
    Ok(match text {
        "off" => None,
        "stdout" => Some(SinkTarget::Stdout),
        path => Some(SinkTarget::File(PathBuf::from(path))),
    })
});

pub(super) fn resolve(inputs: &Inputs<'_>, report: &mut Report) -> AuditConfig {
    let targets = (audit_targets::syslog(inputs, report), audit_targets::otlp(inputs, report));
    let mut audit = AuditConfig::with_defaults(targets.0.map(Box::new), targets.1.map(Box::new));
    audit.read(&mut inputs.section("audit", report));
    audit
}
