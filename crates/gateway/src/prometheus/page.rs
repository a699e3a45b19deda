//! Writes the page that Prometheus reads. Each metric stands here once, with its help text; those
//! of the audit trail next door ([`super::audit`]). docs/metrics.md lists them too.

use std::{
    fmt::{self, Debug},
    path::Path,
    sync::atomic::Ordering,
};

use portunus_core::latency::{BOUNDS, Latencies};
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet, prometheus_text},
    metrics::MetricType,
    registry::Registry,
};

use super::{process::Process, sources::Sources};
use crate::metrics::Metrics;

/// The whole page.
pub(super) fn write(metrics: &Metrics, sources: Sources) -> Result<String, fmt::Error> {
    let mut registry = Registry::default();
    let snapshot = Snapshot {
        metrics: metrics.clone(),
        sources,
        process: Process::read(Path::new("/proc/self")),
    };
    registry.register_collector(Box::new(snapshot));
    let mut text = String::new();
    prometheus_text::encode(&mut text, &registry)?;
    Ok(text)
}

struct Snapshot {
    metrics: Metrics,
    sources: Sources,
    process: Process,
}

impl Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Snapshot").finish_non_exhaustive()
    }
}

impl Collector for Snapshot {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut page = Page(encoder);
        let counted = &self.metrics;
        requests(&mut page, counted)?;
        calls(&mut page, counted)?;
        events(&mut page, counted)?;
        servers(&mut page, &self.sources)?;
        state(&mut page, &self.sources)?;
        super::audit::write(&mut page, &self.sources.audit.counts())?;
        store(&mut page, &self.sources)?;
        process(&mut page, &self.process, &self.sources)
    }
}

/// Writes metrics of each type.
pub(super) struct Page<'a>(DescriptorEncoder<'a>);

type Write<'w> = &'w dyn Fn(&mut MetricEncoder<'_>) -> fmt::Result;

impl Page<'_> {
    pub(super) fn metric(
        &mut self,
        name: &str,
        help: &str,
        is: MetricType,
        write: Write<'_>,
    ) -> fmt::Result {
        write(&mut self.0.encode_descriptor(name, help, None, is)?)
    }

    /// One number that only grows.
    pub(super) fn total(&mut self, name: &str, help: &str, value: u64) -> fmt::Result {
        self.metric(name, help, MetricType::Counter, &|metric| count(metric, value))
    }

    /// One number that goes up and down.
    pub(super) fn gauge(&mut self, name: &str, help: &str, value: usize) -> fmt::Result {
        let value = whole(value as u64);
        self.metric(name, help, MetricType::Gauge, &|metric| metric.encode_gauge(&value))
    }

    fn float(&mut self, name: &str, help: &str, value: f64) -> fmt::Result {
        self.metric(name, help, MetricType::Gauge, &|metric| metric.encode_gauge(&value))
    }
}

pub(super) fn count(metric: &mut MetricEncoder<'_>, value: u64) -> fmt::Result {
    metric.encode_counter::<NoLabelSet, _, u64>(&value, None)
}

pub(super) fn whole(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn histogram(metric: &mut MetricEncoder<'_>, latencies: &Latencies) -> fmt::Result {
    let read = latencies.read();
    let bounds = BOUNDS.iter().map(std::time::Duration::as_secs_f64).chain([f64::INFINITY]);
    let buckets: Vec<(f64, u64)> = bounds.zip(read.counts).collect();
    metric.encode_histogram::<NoLabelSet>(read.sum.as_secs_f64(), read.count(), &buckets, None)
}

fn requests(page: &mut Page<'_>, counted: &Metrics) -> fmt::Result {
    let requests = counted.requests();
    page.metric(
        "portunus_http_requests",
        "HTTP requests that were answered",
        MetricType::Counter,
        &|metric| {
            for answers in requests.answers() {
                let labels = [
                    ("route", answers.route),
                    ("method", answers.method),
                    ("status", answers.status.as_str()),
                ];
                count(&mut metric.encode_family(&labels)?, answers.count)?;
            }
            Ok(())
        },
    )?;
    page.metric(
        "portunus_http_request_seconds",
        "Time until an answer began",
        MetricType::Histogram,
        &|metric| {
            for (route, took) in requests.took().filter(|(_, took)| took.read().count() > 0) {
                histogram(&mut metric.encode_family(&[("route", route)])?, took)?;
            }
            Ok(())
        },
    )?;
    let under_way = usize::try_from(requests.under_way()).unwrap_or(usize::MAX);
    page.gauge(
        "portunus_http_requests_under_way",
        "HTTP requests whose answer has not begun",
        under_way,
    )
}

fn calls(page: &mut Page<'_>, counted: &Metrics) -> fmt::Result {
    page.metric(
        "portunus_calls",
        "Calls of tools and prompts, resources read, and proxied requests, when they have ended",
        MetricType::Counter,
        &|metric| {
            for (key, number) in counted.calls().outcomes() {
                let labels = [
                    ("kind", key.kind),
                    ("server", &*key.server),
                    ("name", &*key.name),
                    ("outcome", key.outcome),
                ];
                count(&mut metric.encode_family(&labels)?, number)?;
            }
            Ok(())
        },
    )?;
    let servers = counted.calls().servers();
    page.metric("portunus_call_seconds", "How long they took", MetricType::Histogram, &|metric| {
        for (whose, figures) in &servers {
            let labels = [("kind", whose.kind), ("server", &*whose.server)];
            histogram(&mut metric.encode_family(&labels)?, &figures.took)?;
        }
        Ok(())
    })?;
    page.metric(
        "portunus_call_bytes",
        "Bytes of their parameters, and of their results or errors",
        MetricType::Counter,
        &|metric| {
            for (whose, figures) in &servers {
                for (of, bytes) in
                    [("request", &figures.request_bytes), ("answer", &figures.answer_bytes)]
                {
                    let labels = [("kind", whose.kind), ("server", &*whose.server), ("of", of)];
                    let bytes = bytes.load(Ordering::Relaxed);
                    count(&mut metric.encode_family(&labels)?, bytes)?;
                }
            }
            Ok(())
        },
    )
}

fn events(page: &mut Page<'_>, counted: &Metrics) -> fmt::Result {
    page.metric(
        "portunus_events",
        "What the gateway records in the audit trail, but for calls: detail is the provider, or why something was refused",
        MetricType::Counter,
        &|metric| {
            for ((event, detail), number) in counted.events().read() {
                let labels = [("event", event), ("detail", detail.as_str())];
                count(&mut metric.encode_family(&labels)?, number)?;
            }
            Ok(())
        },
    )
}

fn servers(page: &mut Page<'_>, sources: &Sources) -> fmt::Result {
    let states = sources.upstreams.states();
    page.metric(
        "portunus_server_connections",
        "Connections to MCP servers; of a stdio server, its child processes",
        MetricType::Gauge,
        &|metric| {
            for (server, state) in &states {
                for (name, value) in [
                    ("live", state.live),
                    ("starting", state.starting),
                    ("backing_off", state.backing_off),
                ] {
                    let labels = [("server", server.as_str()), ("state", name)];
                    metric.encode_family(&labels)?.encode_gauge(&whole(value))?;
                }
            }
            Ok(())
        },
    )?;
    page.metric(
        "portunus_server_connection_changes",
        "Connections that began, that could not begin, and that ended by themselves",
        MetricType::Counter,
        &|metric| {
            for (server, state) in &states {
                for (name, value) in [
                    ("started", state.counts.started),
                    ("failed", state.counts.failed),
                    ("lost", state.counts.lost),
                ] {
                    let labels = [("server", server.as_str()), ("change", name)];
                    count(&mut metric.encode_family(&labels)?, value)?;
                }
            }
            Ok(())
        },
    )
}

fn state(page: &mut Page<'_>, sources: &Sources) -> fmt::Result {
    let totals = sources.hub.totals();
    page.gauge("portunus_sessions", "MCP sessions of legacy clients", totals.sessions)?;
    page.gauge("portunus_streams", "Open streams for messages of servers", totals.streams)?;
    page.gauge("portunus_calls_under_way", "Calls that servers work on", totals.calls)?;
    page.gauge(
        "portunus_kept_bytes",
        "Bytes kept for streams that may be taken up again",
        totals.kept_bytes,
    )?;
    page.gauge(
        "portunus_connections",
        "Connections of clients that are counted by address or person",
        sources.connections.count(),
    )?;
    let checks = sources.tokens.checks();
    page.metric(
        "portunus_token_checks",
        "Access tokens on requests: known from earlier ones, or looked up in the store",
        MetricType::Counter,
        &|metric| {
            for (from, number) in [("memory", &checks.known), ("store", &checks.asked)] {
                let number = number.load(Ordering::Relaxed);
                count(&mut metric.encode_family(&[("from", from)])?, number)?;
            }
            Ok(())
        },
    )?;
    let tokens = usize::try_from(sources.tokens.count()).unwrap_or(usize::MAX);
    page.gauge("portunus_tokens_in_memory", "Access tokens known from earlier requests", tokens)?;
    let Some(is_alive) = sources.cluster.is_alive() else { return Ok(()) };
    page.gauge(
        "portunus_node_is_member",
        "Do the other gateways on the store know this one?",
        usize::from(is_alive),
    )
}

fn store(page: &mut Page<'_>, sources: &Sources) -> fmt::Result {
    page.metric(
        "portunus_store_seconds",
        "How long the store took to answer",
        MetricType::Histogram,
        &|metric| {
            for (kind, latencies) in
                [("read", &sources.store.reads), ("write", &sources.store.writes)]
            {
                histogram(&mut metric.encode_family(&[("kind", kind)])?, latencies)?;
            }
            Ok(())
        },
    )?;
    page.total(
        "portunus_store_unavailable",
        "Times that the store could not be reached, was too busy, or failed",
        sources.store.unavailable(),
    )
}

fn process(page: &mut Page<'_>, process: &Process, sources: &Sources) -> fmt::Result {
    page.metric("portunus_build", "The version that runs", MetricType::Info, &|metric| {
        metric.encode_info(&[("version", env!("CARGO_PKG_VERSION"))])
    })?;
    let began = sources.began.as_secs_f64();
    page.float("process_start_time_seconds", "When the gateway began, since 1970", began)?;
    if let Some(cpu) = process.cpu_seconds {
        page.metric("process_cpu_seconds", "Time of processors", MetricType::Counter, &|metric| {
            metric.encode_counter::<NoLabelSet, _, u64>(&cpu, None)
        })?;
    }
    for (name, help, value) in [
        ("process_resident_memory_bytes", "Memory in use", process.resident_bytes),
        ("process_virtual_memory_bytes", "Memory that is mapped", process.virtual_bytes),
        ("process_open_fds", "Open descriptors", process.open_descriptors),
        ("process_threads", "Threads", process.threads),
    ] {
        if let Some(value) = value {
            page.gauge(name, help, usize::try_from(value).unwrap_or(usize::MAX))?;
        }
    }
    Ok(())
}
