//! Metrics of the audit trail: what the store has of it, and what the targets beside it have. The
//! rest of the page is [`super::page`]'s.

use std::fmt;

use prometheus_client::metrics::MetricType;

use super::page::{Page, count, whole};
use crate::audit::{AuditCounts, TargetCounts};

type Figure = fn(&TargetCounts) -> u64;

pub(super) fn write(page: &mut Page<'_>, counts: &AuditCounts) -> fmt::Result {
    page.gauge(
        "portunus_audit_queue_bytes",
        "Audit records that wait for the store",
        counts.waiting_bytes,
    )?;
    for (name, help, value) in [
        ("portunus_audit_written", "Events that the store has", counts.written),
        (
            "portunus_audit_dropped",
            "Events that found no room and were not recorded",
            counts.dropped,
        ),
        (
            "portunus_audit_refused",
            "Requests that were refused, since what they do could not be recorded",
            counts.refused,
        ),
    ] {
        page.total(name, help, value)?;
    }
    let position = usize::try_from(counts.position).unwrap_or(usize::MAX);
    page.gauge(
        "portunus_audit_position",
        "The number of the newest record in this gateway's chain",
        position,
    )?;
    targets(page, &counts.targets)
}

fn targets(page: &mut Page<'_>, targets: &[TargetCounts]) -> fmt::Result {
    let totals: [(&str, &str, Figure); 3] = [
        ("portunus_audit_target_sent", "Records that a target took", |target| target.sent),
        (
            "portunus_audit_target_lost",
            "Records that a target never gets: deleted before it took them, or refused by it",
            |target| target.lost,
        ),
        ("portunus_audit_target_failures", "Tries that failed", |target| target.failures),
    ];
    for (name, help, figure) in totals {
        page.metric(name, help, MetricType::Counter, &|metric| {
            for target in targets {
                let labels = [("target", target.name)];
                count(&mut metric.encode_family(&labels)?, figure(target))?;
            }
            Ok(())
        })?;
    }
    let gauges: [(&str, &str, Figure); 2] = [
        ("portunus_audit_target_waiting", "Records that wait in the store", |target| {
            target.waiting
        }),
        (
            "portunus_audit_target_position",
            "Through which record of its chain a target has them",
            |target| target.position,
        ),
    ];
    for (name, help, figure) in gauges {
        page.metric(name, help, MetricType::Gauge, &|metric| {
            for target in targets {
                let labels = [("target", target.name)];
                metric.encode_family(&labels)?.encode_gauge(&whole(figure(target)))?;
            }
            Ok(())
        })?;
    }
    Ok(())
}
