//! The end of a chain on a store that loses answers, and on one that was damaged.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use portunus_core::{
    audit::{AuditFilter, ChainHead, ChainId, ChainedRecord, Entry, Event},
    store::{AuditStore, StoreError, StoredChain},
};
use rusqlite::Connection;

use super::{Fixture, NOW, PATIENCE, keys, told, writing};
use crate::{
    audit::chain::{ChainEnd, Writing, own},
    config::AuditConfig,
};

/// What becomes of an append.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Answered,
    /// It is done, and the caller does not hear of it.
    AnswerLost,
    NotDone,
}

/// Loses answers as it is told, and takes everything when nothing is left to be told.
struct Unsure {
    store: Arc<dyn AuditStore>,
    fates: Mutex<VecDeque<Fate>>,
}

impl Unsure {
    /// In front of the writer's store.
    fn before(writing: &mut Writing) -> Arc<Self> {
        let store = Arc::clone(&writing.store);
        let unsure = Arc::new(Self { store, fates: Mutex::default() });
        writing.store = Arc::clone(&unsure) as _;
        unsure
    }

    fn then(&self, fates: impl IntoIterator<Item = Fate>) {
        self.fates.lock().unwrap().extend(fates);
    }

    fn next(&self) -> Fate {
        self.fates.lock().unwrap().pop_front().unwrap_or(Fate::Answered)
    }
}

#[async_trait]
impl AuditStore for Unsure {
    async fn list_chains(&self) -> Result<Vec<StoredChain>, StoreError> {
        self.store.list_chains().await
    }

    async fn append(
        &self,
        before: Option<&ChainHead>,
        after: &ChainHead,
        records: &[ChainedRecord],
    ) -> Result<(), StoreError> {
        let fate = self.next();
        if fate != Fate::NotDone {
            self.store.append(before, after, records).await?;
        }
        if fate == Fate::Answered { Ok(()) } else { Err(no_answer()) }
    }

    async fn read_records(
        &self,
        chain: &ChainId,
        from: u64,
        limit: usize,
    ) -> Result<Vec<ChainedRecord>, StoreError> {
        self.store.read_records(chain, from, limit).await
    }

    async fn find_records(
        &self,
        filter: &AuditFilter,
        limit: usize,
    ) -> Result<Vec<ChainedRecord>, StoreError> {
        self.store.find_records(filter, limit).await
    }

    async fn delete_records(
        &self,
        before: &ChainHead,
        after: &ChainHead,
    ) -> Result<(), StoreError> {
        let fate = self.next();
        if fate != Fate::NotDone {
            self.store.delete_records(before, after).await?;
        }
        if fate == Fate::Answered { Ok(()) } else { Err(no_answer()) }
    }
}

fn no_answer() -> StoreError {
    StoreError::Unavailable("no answer".to_owned())
}

fn signed_in() -> Entry {
    own(NOW, Event::SignedIn { provider: "okta".to_owned() })
}

async fn settled(end: &mut ChainEnd) {
    // bounded: a fate is used up by each try.
    while end.settle(NOW).await.is_err() {}
}

#[tokio::test(flavor = "multi_thread")]
async fn an_append_whose_answer_was_lost_is_made_once() {
    use Fate::{AnswerLost, Answered, NotDone};
    let fates = [Answered, AnswerLost, NotDone];
    // What becomes of a batch, of a checkpoint, of each first try after that.
    for number in 0..27 {
        let (one, two, three) = (fates[number / 9], fates[number / 3 % 3], fates[number % 3]);
        let fixture = Fixture::new();
        let mut writing = writing(&fixture, 1, "gateway");
        let unsure = Unsure::before(&mut writing);
        let mut end = ChainEnd::open(writing, NOW).await.unwrap();
        unsure.then([one, two, three]);
        end.push(vec![signed_in(), signed_in()], None);
        settled(&mut end).await;
        end.push(Vec::new(), Some(NOW));
        settled(&mut end).await;
        end.push(vec![signed_in()], None);
        settled(&mut end).await;
        let words = ["started", "signed_in", "signed_in", "checkpoint", "signed_in"];
        assert_eq!(fixture.words().await, words, "{one:?} {two:?} {three:?}");
        assert_eq!(fixture.store.list_chains().await.unwrap().len(), 1);
        assert_eq!(fixture.findings().await, []);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_append_whose_answer_was_lost_is_made_once_though_old_records_go_meanwhile() {
    for fate in [Fate::AnswerLost, Fate::NotDone] {
        let fixture = Fixture::new();
        let mut writing = writing(&fixture, 1, "gateway");
        let unsure = Unsure::before(&mut writing);
        let mut end = ChainEnd::open(writing, NOW).await.unwrap();
        unsure.then([fate]);
        end.push(vec![signed_in()], None);
        end.settle(NOW).await.unwrap_err();
        // Another gateway deletes the start of the chain in its time.
        let head = end.find_stored().await.unwrap().unwrap();
        let first = fixture.store.read_records(&head.chain, 1, 1).await.unwrap().remove(0);
        let after = keys().sign(head.without(1, first.hash));
        fixture.store.delete_records(&head, &after).await.unwrap();
        end.settle(NOW).await.unwrap();
        end.push(vec![signed_in()], None);
        end.settle(NOW).await.unwrap();
        assert_eq!(fixture.words().await, ["signed_in", "signed_in"], "{fate:?}");
        assert_eq!(fixture.store.list_chains().await.unwrap().len(), 1, "{fate:?}");
        assert_eq!(fixture.findings().await, []);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_chain_has_is_not_written_again_though_another_took_it_up() {
    let fixture = Fixture::new();
    let mut first = writing(&fixture, 1, "gateway");
    let unsure = Unsure::before(&mut first);
    let mut first = ChainEnd::open(first, NOW).await.unwrap();
    unsure.then([Fate::AnswerLost]);
    first.push(vec![own(NOW, Event::Stopped)], None);
    first.settle(NOW).await.unwrap_err();
    let _second = ChainEnd::open(writing(&fixture, 2, "gateway"), NOW).await.unwrap();
    first.settle(NOW).await.unwrap();
    assert_eq!(fixture.words().await, ["started", "stopped", "started"]);
    // What follows has a chain of its own.
    first.push(vec![signed_in()], None);
    first.settle(NOW).await.unwrap();
    assert_eq!(fixture.words().await.len(), 5);
    assert_eq!(fixture.store.list_chains().await.unwrap().len(), 2);
    assert_eq!(fixture.findings().await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_note_begins_no_chain_when_another_took_up_the_one_it_was_for() {
    let fixture = Fixture::new();
    let mut first = ChainEnd::open(writing(&fixture, 1, "gateway"), NOW).await.unwrap();
    first.push(vec![own(NOW, Event::Stopped)], None);
    first.settle(NOW).await.unwrap();
    let mut second = ChainEnd::open(writing(&fixture, 2, "gateway"), NOW).await.unwrap();
    first.push(Vec::new(), None);
    first.settle(NOW).await.unwrap();
    second.push(vec![signed_in()], None);
    second.settle(NOW).await.unwrap();
    assert_eq!(fixture.words().await, ["started", "stopped", "started", "signed_in"]);
    assert_eq!(fixture.store.list_chains().await.unwrap().len(), 1);
    assert_eq!(fixture.findings().await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_whose_answer_was_lost_is_told_by_the_next() {
    let fixture = Fixture::new();
    let mut writing = writing(&fixture, 1, "gateway");
    let unsure = Unsure::before(&mut writing);
    let mut end = ChainEnd::open(writing, NOW).await.unwrap();
    let later = NOW + Duration::from_secs(60);
    unsure.then([Fate::AnswerLost]);
    let turn = end.expire(later, NOW, 10).await;
    assert!(turn.told.is_empty() && turn.result.is_err());
    let turn = end.expire(later, NOW, 10).await;
    let told: Vec<_> = turn.told.into_iter().map(|entry| entry.event).collect();
    let (of, _) = end.opened_at();
    assert_eq!(told, [Event::Expired { of, through: 1 }]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_chain_is_left_as_it_is_and_another_is_begun() {
    let cases = [
        ("UPDATE audit_chains SET head = json_set(head, '$.last', 1)", 2),
        ("UPDATE audit_chains SET head = '{'", 2),
        ("DELETE FROM audit_chains", 2),
        ("DELETE FROM audit_records WHERE seq = 4", 2),
        ("DELETE FROM audit_records WHERE seq = 3", 2),
        ("UPDATE audit_records SET record = replace(record, 'node-1', 'node-9') WHERE seq = 4", 2),
        ("UPDATE audit_records SET hash = x'00' WHERE seq = 4", 2),
        ("UPDATE audit_records SET record = CAST(x'ff' AS TEXT) WHERE seq = 4", 2),
        // It is seen when it is appended to.
        (
            "INSERT INTO audit_records SELECT chain, 5, at, hash, record FROM audit_records WHERE seq = 4",
            2,
        ),
        // Nothing is wrong at its end: it is gone on with.
        ("UPDATE audit_records SET at = at + 1 WHERE seq = 2", 1),
    ];
    for (statement, chains) in cases {
        let fixture = Fixture::new();
        let log = fixture.begin(1, &AuditConfig::default()).await;
        told(&log, "before");
        log.stop(PATIENCE).await;
        assert_eq!(fixture.records().await.len(), 4);
        Connection::open(fixture.folder.path().join("mcp.sqlite"))
            .unwrap()
            .execute_batch(statement)
            .unwrap();
        let damaged = fixture.findings().await;
        assert!(!damaged.is_empty(), "{statement}");
        let log = fixture.begin(2, &AuditConfig::default()).await;
        told(&log, "after");
        log.stop(PATIENCE).await;
        let after = fixture.findings().await;
        for finding in damaged {
            assert!(after.contains(&finding), "{statement}: {finding} is not in {after:?}");
        }
        let written = fixture.store.list_chains().await.unwrap();
        assert_eq!(written.len(), chains, "{statement}");
        let records = fixture.records().await;
        let signed_in = records.iter().filter(|record| record.event.word() == "signed_in");
        let found = signed_in.filter(
            |record| matches!(&record.event, Event::SignedIn { provider } if provider == "after"),
        );
        assert_eq!(found.count(), 1, "{statement}");
    }
}
