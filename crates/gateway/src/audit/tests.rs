//! The log and its writer on a store: what is written and in which order, what is done when the
//! store does not take it, and what becomes of a chain that another writes too. Losses and damage
//! are next door ([`chain`]), and so is what is old ([`expiry`]); targets have tests of their own.

mod chain;
mod expiry;

use std::{net::IpAddr, sync::Arc, time::Duration};

use axum::response::IntoResponse as _;
use http::StatusCode;
use portunus_core::{
    Timestamp,
    audit::{
        AuditFilter, AuditKeys, AuditRecord, Event, Finding, Origin, Person, RefusalReason,
        Verifier,
    },
    clock::FixedClock,
    entropy::SeededEntropy,
    ids::NodeId,
    secret::SecretText,
    store::{AuditStore, StoredChain},
};
use portunus_store::{seal::Sealer, sqlite};
use tempfile::TempDir;

use super::{
    AuditLog, AuditWriter, RequestAudit, WriterParts, audit_keys, chain::Writing, targets::Targets,
};
use crate::{
    config::{AuditConfig, Limits, OnFull, Rate, SinkTarget},
    edge::{
        extensions::{FailedAuthentication, Peer},
        throttle::{layer::failures, limiter::Throttle},
    },
};

pub(super) const NOW: Timestamp = Timestamp::from_secs(1_772_539_200);

pub(super) struct Fixture {
    pub(super) folder: TempDir,
    pub(super) store: Arc<dyn AuditStore>,
    pub(super) clock: Arc<FixedClock>,
}

pub(super) fn keys() -> AuditKeys {
    audit_keys(&[SecretText::new("a secret")])
}

impl Fixture {
    pub(super) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let entropy = Arc::new(SeededEntropy::new(1));
        let sealer = Sealer::new(&[SecretText::new("a secret")], entropy).unwrap();
        let store = sqlite::open(&folder.path().join("mcp.sqlite"), sealer).unwrap().audit;
        Self { folder, store, clock: Arc::new(FixedClock::at(NOW)) }
    }

    /// A log with its writer at work.
    pub(super) async fn begin(&self, seed: u64, config: &AuditConfig) -> AuditLog {
        let (log, queue) = AuditLog::new(config, Arc::clone(&self.clock) as _);
        let parts = WriterParts {
            store: Arc::clone(&self.store),
            keys: keys(),
            clock: Arc::clone(&self.clock) as _,
            entropy: Arc::new(SeededEntropy::new(seed)),
            node: NodeId::from_text(format!("node-{seed}")),
            is_alone: true,
            host: "gateway.example".to_owned(),
        };
        AuditWriter::open(queue.unwrap(), parts, config).await.unwrap().spawn();
        log
    }

    pub(super) async fn records(&self) -> Vec<AuditRecord> {
        let found = self.store.find_records(&AuditFilter::default(), 100_000).await.unwrap();
        found.iter().map(|record| record.read().unwrap()).collect()
    }

    pub(super) async fn words(&self) -> Vec<&'static str> {
        self.records().await.iter().map(|record| record.event.word()).collect()
    }

    pub(super) async fn findings(&self) -> Vec<Finding> {
        let keys = keys();
        let mut verifier = Verifier::new(&keys);
        for StoredChain { id, head } in self.store.list_chains().await.unwrap() {
            let mut reading = verifier.chain(&id, head.as_ref(), false);
            for record in self.store.read_records(&id, 0, 100_000).await.unwrap() {
                reading.take(&record);
            }
            reading.finish();
        }
        let named: Vec<_> = verifier.named().cloned().collect();
        for position in named {
            let found = self.store.read_records(&position.chain, position.seq, 1).await.unwrap();
            if let Some(record) = found.first() {
                verifier.found(&position, record.hash);
            }
        }
        verifier.finish()
    }
}

pub(super) fn told(log: &AuditLog, provider: &str) {
    let event = Event::SignedIn { provider: provider.to_owned() };
    log.record(Person::default(), Origin::default(), event);
}

/// Who writes a chain on its store.
pub(super) fn writing(fixture: &Fixture, seed: u64, writer: &'static str) -> Writing {
    Writing {
        store: Arc::clone(&fixture.store),
        keys: keys(),
        entropy: Arc::new(SeededEntropy::new(seed)),
        node: NodeId::from_text(format!("node-{seed}")),
        writer,
        is_alone: writer == "gateway",
        targets: Targets::default(),
    }
}

pub(super) const PATIENCE: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread")]
async fn a_chain_is_closed_and_taken_up_again() {
    let fixture = Fixture::new();
    for run in 1..=2 {
        let log = fixture.begin(run, &AuditConfig::default()).await;
        told(&log, "okta");
        log.stop(PATIENCE).await;
    }
    let run = ["started", "signed_in", "stopped", "checkpoint"];
    assert_eq!(fixture.words().await, [run, run].concat());
    assert_eq!(fixture.store.list_chains().await.unwrap().len(), 1);
    let nodes: Vec<_> = fixture.records().await.into_iter().map(|record| record.node).collect();
    assert_eq!((nodes[0].as_str(), nodes[4].as_str()), ("node-1", "node-2"));
    assert_eq!(fixture.findings().await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_writers_of_one_chain_one_begins_another() {
    let fixture = Fixture::new();
    let (config, one) = (AuditConfig::default(), 1);
    let first = fixture.begin(one, &config).await;
    // Takes the chain for one that was left open.
    let second = fixture.begin(2, &config).await;
    told(&first, "first");
    told(&second, "second");
    first.stop(PATIENCE).await;
    second.stop(PATIENCE).await;
    assert_eq!(fixture.store.list_chains().await.unwrap().len(), 2);
    let words = fixture.words().await;
    assert_eq!(words.iter().filter(|word| **word == "signed_in").count(), 2, "{words:?}");
    assert_eq!(fixture.findings().await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_events_have_checkpoints_between_them() {
    let fixture = Fixture::new();
    let log = fixture.begin(1, &AuditConfig::default()).await;
    for _ in 0..2_500 {
        told(&log, "okta");
    }
    log.stop(PATIENCE).await;
    let words = fixture.words().await;
    assert_eq!(words.iter().filter(|word| **word == "signed_in").count(), 2_500);
    assert!(words.iter().filter(|word| **word == "checkpoint").count() >= 3, "one at the end");
    assert_eq!(fixture.findings().await, []);
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_refuses_requests_or_drops_events_and_says_how_many() {
    let clock = Arc::new(FixedClock::at(NOW));
    for (on_full, is_refused) in [(OnFull::Refuse, true), (OnFull::Drop, false)] {
        let config = AuditConfig { on_full, ..AuditConfig::default() };
        let (log, queue) = AuditLog::with_bound(&config, Arc::clone(&clock) as _, 2_000);
        let mut queue = queue.unwrap();
        assert!(log.admit().await.is_ok());
        for _ in 0..100 {
            told(&log, "okta");
        }
        assert_eq!(log.admit().await.is_err(), is_refused, "{on_full:?}");
        assert_eq!(log.counts().refused, u64::from(is_refused), "{on_full:?}");
        let mut waiting = Vec::new();
        queue.queue.recv_many(&mut waiting, 1_000).await;
        let dropped = queue.level.take_dropped();
        assert!(dropped > 0);
        assert_eq!(waiting.len() as u64 + dropped, 100, "{on_full:?}");
        queue.level.written(1, 4_000.min(waiting.len() * 2_000));
    }
}

#[tokio::test]
async fn of_a_flood_of_refusals_so_many_are_recorded_as_an_address_may_fail() {
    let clock = Arc::new(FixedClock::at(NOW));
    let (log, queue) = AuditLog::new(&AuditConfig::default(), clock);
    let three = Rate { count: 3.try_into().unwrap(), per: Duration::from_secs(24 * 3600) };
    let throttle = Throttle::new(&Limits { failures: Some(three), ..Limits::default() });
    for address in [[192, 0, 2, 1], [192, 0, 2, 2]].map(IpAddr::from) {
        let audit = RequestAudit::new(log.clone(), Some(address), "request");
        for _ in 0..10 {
            let reason = RefusalReason::UnknownToken;
            let mut response = StatusCode::UNAUTHORIZED.into_response();
            response.extensions_mut().insert(FailedAuthentication);
            response.extensions_mut().insert(audit.refusal(Person::default(), reason, "/mcp"));
            failures(&throttle, Some(Peer(address)), response);
        }
    }
    let mut waiting = Vec::new();
    queue.unwrap().queue.recv_many(&mut waiting, 1_000).await;
    assert_eq!(waiting.len(), 2 * 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_store_and_a_target_have_is_counted() {
    let fixture = Fixture::new();
    let file = Some(SinkTarget::File(fixture.folder.path().join("audit.jsonl")));
    let log = fixture.begin(1, &AuditConfig { file, ..AuditConfig::default() }).await;
    assert_eq!((log.counts().written, log.counts().position), (0, 1), "it has begun");
    (0..3).for_each(|_| told(&log, "okta"));
    log.stop(PATIENCE).await;
    told(&log, "too late");
    let counts = log.counts();
    assert_eq!((counts.written, counts.dropped, counts.waiting_bytes), (3, 1, 0));
    // With those of the writer: started, stopped, a checkpoint.
    let file = counts.targets[0];
    assert_eq!((counts.position, file.position, file.sent, file.waiting), (6, 6, 6, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_dropped_is_an_event_of_its_own() {
    let fixture = Fixture::new();
    let config = AuditConfig { on_full: OnFull::Drop, ..AuditConfig::default() };
    let (log, queue) = AuditLog::with_bound(&config, Arc::clone(&fixture.clock) as _, 2_000);
    for _ in 0..100 {
        told(&log, "okta");
    }
    let parts = WriterParts {
        store: Arc::clone(&fixture.store),
        keys: keys(),
        clock: Arc::clone(&fixture.clock) as _,
        entropy: Arc::new(SeededEntropy::new(1)),
        node: NodeId::from_text("node"),
        is_alone: true,
        host: "gateway.example".to_owned(),
    };
    AuditWriter::open(queue.unwrap(), parts, &config).await.unwrap().spawn();
    log.stop(PATIENCE).await;
    let records = fixture.records().await;
    let written = records.iter().filter(|record| record.event.word() == "signed_in").count();
    let dropped = records.iter().find_map(|record| match record.event {
        Event::Dropped { count } => Some(count),
        _ => None,
    });
    assert_eq!(written as u64 + dropped.unwrap(), 100);
}
