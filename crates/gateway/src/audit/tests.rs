//! The log and its writer on a store: what is written and in which order, what is done when the
//! store does not take it, and what becomes of a chain that another writes too.

use std::{net::IpAddr, sync::Arc, time::Duration};

use axum::response::IntoResponse as _;
use http::StatusCode;
use portunus_core::{
    Clock, Timestamp,
    audit::{
        AuditFilter, AuditKeys, AuditRecord, Chain, ChainId, ChainedRecord, Event, Finding, Origin,
        Person, RefusalReason, Verifier,
    },
    clock::FixedClock,
    entropy::SeededEntropy,
    ids::NodeId,
    secret::SecretText,
    store::{AuditStore, StoredChain},
};
use portunus_store::{seal::Sealer, sqlite};
use portunus_testkit::wait;
use tempfile::TempDir;

use super::{AuditLog, AuditWriter, RequestAudit, WriterParts, audit_keys};
use crate::{
    config::{AuditConfig, Limits, OnFull, Rate, SinkTarget},
    edge::{
        extensions::{FailedAuthentication, Peer},
        throttle::{layer::failures, limiter::Throttle},
    },
};

const NOW: Timestamp = Timestamp::from_secs(1_772_539_200);

struct Fixture {
    folder: TempDir,
    store: Arc<dyn AuditStore>,
    clock: Arc<FixedClock>,
}

fn keys() -> AuditKeys {
    audit_keys(&[SecretText::new("a secret")])
}

impl Fixture {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let entropy = Arc::new(SeededEntropy::new(1));
        let sealer = Sealer::new(&[SecretText::new("a secret")], entropy).unwrap();
        let store = sqlite::open(&folder.path().join("mcp.sqlite"), sealer).unwrap().audit;
        Self { folder, store, clock: Arc::new(FixedClock::at(NOW)) }
    }

    /// A log with its writer at work.
    async fn begin(&self, seed: u64, config: &AuditConfig) -> AuditLog {
        let (log, queue) = AuditLog::new(config, Arc::clone(&self.clock) as _);
        let parts = WriterParts {
            store: Arc::clone(&self.store),
            keys: keys(),
            clock: Arc::clone(&self.clock) as _,
            entropy: Arc::new(SeededEntropy::new(seed)),
            node: NodeId::from_text(format!("node-{seed}")),
            is_alone: true,
        };
        AuditWriter::open(queue.unwrap(), parts, config).await.unwrap().spawn();
        log
    }

    async fn records(&self) -> Vec<AuditRecord> {
        let found = self.store.find_records(&AuditFilter::default(), 100_000).await.unwrap();
        found.iter().map(|record| record.read().unwrap()).collect()
    }

    async fn words(&self) -> Vec<&'static str> {
        self.records().await.iter().map(|record| record.event.word()).collect()
    }

    async fn findings(&self) -> Vec<Finding> {
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
            verifier.found(&position, found[0].hash);
        }
        verifier.finish()
    }
}

fn told(log: &AuditLog, provider: &str) {
    let event = Event::SignedIn { provider: provider.to_owned() };
    log.record(Person::default(), Origin::default(), event);
}

const PATIENCE: Duration = Duration::from_secs(30);

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
        let mut waiting = Vec::new();
        queue.queue.recv_many(&mut waiting, 1_000).await;
        let dropped = queue.level.take_dropped();
        assert!(dropped > 0);
        assert_eq!(waiting.len() as u64 + dropped, 100, "{on_full:?}");
        queue.level.written(4_000.min(waiting.len() * 2_000));
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

#[tokio::test(flavor = "multi_thread")]
async fn what_is_old_is_deleted_and_not_missed() {
    let fixture = Fixture::new();
    let log = fixture.begin(1, &AuditConfig::default()).await;
    told(&log, "old");
    log.stop(PATIENCE).await;
    let day = Duration::from_secs(24 * 3600);
    fixture.clock.advance(2 * day);
    let writing = super::chain::Writing {
        store: Arc::clone(&fixture.store),
        keys: keys(),
        entropy: Arc::new(SeededEntropy::new(2)),
        node: NodeId::from_text("node-2"),
        writer: "gateway",
        is_alone: true,
    };
    let now = fixture.clock.now();
    let (mut end, _) = super::chain::ChainEnd::open(writing, now).await.unwrap();
    // No step is left, one is, and then there is no more.
    let turn = end.expire(now - day, now, 0).await;
    assert_eq!((turn.told.len(), turn.result.unwrap()), (0, true));
    let turn = end.expire(now - day, now, 1).await;
    assert_eq!((turn.told.len(), turn.result.unwrap()), (1, false));
    end.append(turn.told).await.unwrap();
    assert_eq!(fixture.words().await, ["started", "expired"]);
    assert_eq!(fixture.findings().await, []);
}

type Tamper = fn(&mut [ChainedRecord]);

/// A store with a chain of three records, of which `tamper` has changed what is kept.
async fn tampered(tamper: Tamper) -> Fixture {
    let fixture = Fixture::new();
    let mut chain = Chain::begin(ChainId::from_text("gateway-1"), NodeId::from_text("node-1"));
    let mut records: Vec<_> =
        (0..3).map(|_| chain.append(super::chain::own(NOW, Event::Stopped))).collect();
    tamper(&mut records);
    fixture.store.append(None, &chain.head(&keys()), &records).await.unwrap();
    fixture
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_hold_is_not_deleted_however_old_it_seems() {
    let day = Duration::from_secs(24 * 3600);
    let cases: [(Tamper, Duration, usize); 4] = [
        (|_| (), 2 * day, 0),
        // A time that is beside the text alone.
        (|records| records[0].at = Timestamp::from_millis(0), Duration::ZERO, 3),
        (|records| records[1].hash = records[0].hash, 2 * day, 2),
        (|records| records[2].text = records[2].text.replace("node-1", "node-9"), 2 * day, 1),
    ];
    for (at, (tamper, later, kept)) in cases.into_iter().enumerate() {
        let fixture = tampered(tamper).await;
        fixture.clock.advance(later);
        let writing = super::chain::Writing {
            store: Arc::clone(&fixture.store),
            keys: keys(),
            entropy: Arc::new(SeededEntropy::new(2)),
            node: NodeId::from_text("node-2"),
            writer: "command",
            is_alone: false,
        };
        let now = fixture.clock.now();
        let (mut end, _) = super::chain::ChainEnd::open(writing, now).await.unwrap();
        assert!(!end.expire(now - day, now, 10).await.result.unwrap(), "case {at}");
        let id = ChainId::from_text("gateway-1");
        let left = fixture.store.read_records(&id, 0, 100).await.unwrap();
        assert_eq!(left.len(), kept, "case {at}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_has_the_same_lines_and_is_put_aside_when_it_is_large() {
    let fixture = Fixture::new();
    let path = fixture.folder.path().join("audit.jsonl");
    let config = AuditConfig {
        file: Some(SinkTarget::File(path.clone())),
        rotate_bytes: 600,
        ..AuditConfig::default()
    };
    let log = fixture.begin(1, &config).await;
    for number in 1..=3 {
        told(&log, "okta");
        // Each in a batch of its own.
        wait::eventually("it is written", async || fixture.records().await.len() > number).await;
    }
    log.stop(PATIENCE).await;
    let mut lines = String::new();
    for number in (1..10).rev() {
        let aside = fixture.folder.path().join(format!("audit.jsonl.{number}"));
        lines.push_str(&std::fs::read_to_string(aside).unwrap_or_default());
    }
    assert!(!lines.is_empty(), "nothing was put aside");
    lines.push_str(&std::fs::read_to_string(&path).unwrap());
    let records = fixture.store.find_records(&AuditFilter::default(), 100).await.unwrap();
    let expected: Vec<String> = records.iter().map(ChainedRecord::line).collect();
    assert_eq!(lines.lines().map(str::to_owned).collect::<Vec<_>>(), expected);
}
