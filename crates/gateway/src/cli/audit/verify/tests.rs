//! Verifying while a gateway works.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use portunus_core::{
    Timestamp,
    audit::{AuditFilter, Chain, Entry, Event, Origin, Person},
    entropy::SeededEntropy,
    ids::NodeId,
    secret::SecretText,
    store::AuditStore,
};
use portunus_store::{seal::Sealer, sqlite};

use super::*;

/// Between any two looks at it, its gateway appends, and deletes what is old.
struct Busy {
    store: Arc<dyn AuditStore>,
    keys: AuditKeys,
    chain: Mutex<(Chain, ChainHead)>,
}

impl Busy {
    async fn work(&self) {
        let (_, head) = self.chain.lock().unwrap().clone();
        let gone = (head.deleted + 400).min(head.last);
        let record = self.store.read_records(&head.chain, gone, 1).await.unwrap().remove(0);
        let after = self.keys.sign(head.without(gone, record.hash));
        self.store.delete_records(&head, &after).await.unwrap();
        let mut chain = Chain::resume(after.clone(), NodeId::from_text("node"));
        let records: Vec<_> = (0..10).map(|_| chain.append(entry())).collect();
        let head = chain.head(&self.keys);
        self.store.append(Some(&after), &head, &records).await.unwrap();
        *self.chain.lock().unwrap() = (chain, head);
    }
}

fn entry() -> Entry {
    Entry {
        at: Timestamp::from_secs(1),
        person: Person::default(),
        origin: Origin::default(),
        event: Event::Stopped,
    }
}

#[async_trait]
impl AuditStore for Busy {
    async fn list_chains(&self) -> Result<Vec<StoredChain>, StoreError> {
        let chains = self.store.list_chains().await;
        self.work().await;
        chains
    }

    async fn append(
        &self,
        before: Option<&ChainHead>,
        after: &ChainHead,
        records: &[ChainedRecord],
    ) -> Result<(), StoreError> {
        self.store.append(before, after, records).await
    }

    async fn read_records(
        &self,
        chain: &ChainId,
        from: u64,
        limit: usize,
    ) -> Result<Vec<ChainedRecord>, StoreError> {
        let records = self.store.read_records(chain, from, limit).await;
        self.work().await;
        records
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
        self.store.delete_records(before, after).await
    }
}

#[tokio::test]
async fn what_a_gateway_does_meanwhile_is_no_tampering() {
    let folder = tempfile::tempdir().unwrap();
    let sealer =
        Sealer::new(&[SecretText::new("a secret")], Arc::new(SeededEntropy::new(1))).unwrap();
    let mut stores = sqlite::open(&folder.path().join("mcp.sqlite"), sealer).unwrap();
    let keys = AuditKeys::new([[1; 32]]);
    let node = NodeId::from_text("node");
    let mut chain = Chain::begin(ChainId::from_text("gateway-1"), node.clone());
    let records: Vec<_> = (0..3_000).map(|_| chain.append(entry())).collect();
    let head = chain.head(&keys);
    stores.audit.append(None, &head, &records).await.unwrap();
    // A run that names a position which goes while the trail is read.
    let mut other = Chain::begin(ChainId::from_text("gateway-2"), node);
    let beside = vec![head.position()];
    let started = Event::Started { version: "0".to_owned(), beside };
    let records = [other.append(Entry { event: started, ..entry() })];
    stores.audit.append(None, &other.head(&keys), &records).await.unwrap();
    let store = Arc::clone(&stores.audit);
    stores.audit = Arc::new(Busy { store, keys: keys.clone(), chain: (chain, head).into() });
    // Until nothing is left of what was there at first.
    for round in 0..4 {
        let verified = super::store(&stores, &keys).await.unwrap();
        assert!(verified.is_sound(), "round {round}: {}", verified.told(false));
    }
}

/// A file as a crash in the middle of a write leaves it, gone on with after that.
#[test]
fn half_a_line_is_no_fault_when_its_record_is_whole_behind_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit.jsonl");
    let keys = AuditKeys::new([[7; 32]]);
    let mut chain = Chain::begin(ChainId::from_text("gateway-1"), NodeId::from_text("node"));
    let mut lines: Vec<_> = (0..2).map(|_| chain.append(entry()).line()).collect();
    lines.push(chain.checkpoint(Timestamp::from_secs(2), &keys).line());
    let half = |of: usize| lines[of][..lines[of].len() / 2].to_owned();
    let whole = lines.join("\n");
    let cases = [
        (format!("{}\n{}\n{}\n{}\n", lines[0], half(1), lines[1], lines[2]), Some(1)),
        (format!("{}\n\n{}\n{}\n", lines[0], lines[1], lines[2]), Some(0)),
        (format!("{whole}\n{}", half(1)), Some(1)),
        // Its record does not follow, or it is no beginning of one.
        (format!("{whole}\n{}\n", half(1)), None),
        (format!("{}\n{}\n{}\nno record\n{}\n", lines[0], half(0), lines[1], lines[2]), None),
    ];
    for (text, expected) in cases {
        std::fs::write(&path, &text).unwrap();
        let verified = file(&path, &keys).unwrap();
        assert_eq!(verified.records, 3, "{text}");
        assert_eq!(verified.is_sound().then_some(verified.half_lines), expected, "{text}");
    }
    // In the middle of a character.
    std::fs::write(&path, [whole.as_bytes(), b"\n{\"chain\":\"\xc3"].concat()).unwrap();
    assert!(file(&path, &keys).unwrap().is_sound());
}
