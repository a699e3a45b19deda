//! The port for the audit trail. What is wrong with a chain is found by `portunus_core::audit`,
//! whose tests have the ways of tampering.

use portunus_core::{
    Timestamp,
    audit::{
        AuditFilter, AuditKeys, Chain, ChainHead, ChainId, ChainedRecord, Entry, Event, Finding,
        Origin, Person, Verifier,
    },
    ids::NodeId,
    store::{StoreError, StoredChain, Stores},
};

use super::{
    Backend, race,
    records::{MINUTE, NOW},
};

pub fn keys() -> AuditKeys {
    AuditKeys::new([[7; 32]])
}

pub fn entry(at: Timestamp, provider: &str) -> Entry {
    Entry {
        at,
        person: Person { user: Some(format!("user of {provider}")), ..Person::default() },
        origin: Origin::default(),
        event: Event::SignedIn { provider: provider.to_owned() },
    }
}

/// A chain as its writer has it.
pub struct Written {
    pub chain: Chain,
    pub head: Option<ChainHead>,
}

impl Written {
    pub fn begin(name: &str) -> Self {
        let node = NodeId::from_text("node");
        Self { chain: Chain::begin(ChainId::from_text(name), node), head: None }
    }

    /// Appends so many records in one step.
    pub async fn append(&mut self, stores: &Stores, at: Timestamp, count: usize) {
        let records: Vec<_> =
            (0..count).map(|_| self.chain.append(entry(at, self.chain.id().as_str()))).collect();
        let after = self.chain.head(&keys());
        stores.audit.append(self.head.as_ref(), &after, &records).await.unwrap();
        self.head = Some(after);
    }
}

/// The chain has so many records, and nothing is wrong with them. There may be others.
pub async fn assert_whole(stores: &Stores, name: &str, count: u64) {
    let keys = keys();
    let mut verifier = Verifier::new(&keys);
    let chains = stores.audit.list_chains().await.unwrap();
    let StoredChain { id, head } =
        chains.into_iter().find(|chain| chain.id.as_str() == name).unwrap();
    let mut reading = verifier.chain(&id, head.as_ref(), false);
    for record in stores.audit.read_records(&id, 0, 1_000).await.unwrap() {
        reading.take(&record);
    }
    reading.finish();
    assert_eq!((verifier.records(), verifier.finish()), (count, Vec::new()));
}

/// What is wrong with the trail.
async fn verified(stores: &Stores) -> Vec<Finding> {
    let keys = keys();
    let mut verifier = Verifier::new(&keys);
    for StoredChain { id, head } in stores.audit.list_chains().await.unwrap() {
        let mut reading = verifier.chain(&id, head.as_ref(), false);
        for record in stores.audit.read_records(&id, 0, 1_000).await.unwrap() {
            reading.take(&record);
        }
        reading.finish();
    }
    verifier.finish()
}

fn numbers(records: &[ChainedRecord]) -> Vec<(&str, u64)> {
    records.iter().map(|record| (record.chain.as_str(), record.seq)).collect()
}

pub async fn kept_in_order<B: Backend>() {
    let backend = B::fresh().await;
    let stores = backend.open().await;
    assert_eq!(stores.audit.list_chains().await.unwrap(), []);
    let (mut one, mut two) = (Written::begin("gateway-1"), Written::begin("gateway-2"));
    one.append(&stores, NOW, 3).await;
    two.append(&stores, NOW + MINUTE, 2).await;
    one.append(&stores, NOW + MINUTE + MINUTE, 12).await;
    assert_eq!(
        stores.audit.list_chains().await.unwrap(),
        [
            StoredChain { id: one.chain.id().clone(), head: one.head.clone() },
            StoredChain { id: two.chain.id().clone(), head: two.head.clone() },
        ]
    );
    let all = stores.audit.read_records(one.chain.id(), 1, 100).await.unwrap();
    assert_eq!(
        all.iter().map(|record| record.seq).collect::<Vec<_>>(),
        (1..=15).collect::<Vec<_>>()
    );
    let some = stores.audit.read_records(one.chain.id(), 9, 2).await.unwrap();
    assert_eq!(some, all[8..10]);
    assert_eq!(verified(&stores).await, []);
}

pub async fn appended_whole_or_not_at_all<B: Backend>() {
    let backend = B::fresh().await;
    let stores = backend.open().await;
    let mut written = Written::begin("gateway-1");
    written.append(&stores, NOW, 2).await;
    let (old, chain) = (written.head.clone(), written.chain.clone());
    written.append(&stores, NOW, 1).await;
    // A second writer that does not know of the last record; one that takes the chain for new.
    for before in [old.as_ref(), None] {
        let mut chain = chain.clone();
        let record = chain.append(entry(NOW, "other"));
        let refused = stores.audit.append(before, &chain.head(&keys()), &[record]).await;
        assert!(matches!(refused, Err(StoreError::Conflict)), "{refused:?}");
    }
    assert_eq!(verified(&stores).await, []);
    assert_eq!(stores.audit.read_records(chain.id(), 0, 10).await.unwrap().len(), 3);
}

pub async fn one_of_many_appends_wins<B: Backend>() {
    let backend = B::fresh().await;
    let stores = backend.open().await;
    let mut written = Written::begin("gateway-1");
    written.append(&stores, NOW, 1).await;
    let won = race(|number| {
        let (audit, head, mut chain) =
            (stores.audit.clone(), written.head.clone(), written.chain.clone());
        async move {
            let record = chain.append(entry(NOW, &format!("racer {number}")));
            audit.append(head.as_ref(), &chain.head(&keys()), &[record]).await.is_ok()
        }
    })
    .await;
    assert_eq!(won.into_iter().filter(|won| *won).count(), 1);
    assert_eq!(verified(&stores).await, []);
}

pub async fn found_by_what_is_wanted<B: Backend>() {
    let backend = B::fresh().await;
    let stores = backend.open().await;
    let (mut one, mut two) = (Written::begin("gateway-1"), Written::begin("gateway-2"));
    one.append(&stores, NOW, 2).await;
    two.append(&stores, NOW + MINUTE, 2).await;
    one.append(&stores, NOW + MINUTE + MINUTE, 2).await;
    let find = async |filter: &AuditFilter, limit| stores.audit.find_records(filter, limit).await;
    let all = AuditFilter::default();
    assert_eq!(
        numbers(&find(&all, 10).await.unwrap()),
        [
            ("gateway-1", 1),
            ("gateway-1", 2),
            ("gateway-2", 1),
            ("gateway-2", 2),
            ("gateway-1", 3),
            ("gateway-1", 4)
        ]
    );
    assert_eq!(
        numbers(&find(&all, 3).await.unwrap()),
        [("gateway-2", 2), ("gateway-1", 3), ("gateway-1", 4)]
    );
    let person = AuditFilter { person: Some("user of gateway-2".to_owned()), ..all.clone() };
    assert_eq!(numbers(&find(&person, 10).await.unwrap()), [("gateway-2", 1), ("gateway-2", 2)]);
    let time = AuditFilter { since: Some(NOW + MINUTE), until: Some(NOW + MINUTE + MINUTE), ..all };
    assert_eq!(numbers(&find(&time, 10).await.unwrap()), [("gateway-2", 1), ("gateway-2", 2)]);
}

pub async fn what_is_deleted_in_its_time_is_not_missed<B: Backend>() {
    let backend = B::fresh().await;
    let stores = backend.open().await;
    let mut written = Written::begin("gateway-1");
    written.append(&stores, NOW, 5).await;
    let third = stores.audit.read_records(written.chain.id(), 3, 1).await.unwrap().remove(0);
    let head = written.head.clone().unwrap();
    let after = keys().sign(head.without(3, third.hash));
    stores.audit.delete_records(&head, &after).await.unwrap();
    let left = stores.audit.read_records(written.chain.id(), 0, 10).await.unwrap();
    assert_eq!(numbers(&left), [("gateway-1", 4), ("gateway-1", 5)]);
    assert_eq!(verified(&stores).await, []);
    let again = stores.audit.delete_records(&head, &after).await;
    assert!(matches!(again, Err(StoreError::Conflict)), "{again:?}");
}

/// Else a writer whose answer was lost would not find its records, or write them twice.
pub async fn an_append_from_before_a_deletion_is_refused_and_found<B: Backend>() {
    let backend = B::fresh().await;
    let stores = backend.open().await;
    let mut written = Written::begin("gateway-1");
    written.append(&stores, NOW, 2).await;
    let before = written.head.clone();
    written.append(&stores, NOW, 1).await;
    let after = written.head.clone().unwrap();
    let records = stores.audit.read_records(written.chain.id(), 0, 10).await.unwrap();
    let shorter = keys().sign(after.without(1, records[0].hash));
    stores.audit.delete_records(&after, &shorter).await.unwrap();
    let again = stores.audit.append(before.as_ref(), &after, &records[2..]).await;
    assert!(matches!(again, Err(StoreError::Conflict)), "{again:?}");
    let found = stores.audit.list_chains().await.unwrap().remove(0).head.unwrap();
    assert_eq!((found.last, found.last_hash), (after.last, after.last_hash));
    assert_eq!(found, shorter);
    assert_eq!(stores.audit.read_records(written.chain.id(), 0, 10).await.unwrap(), records[1..]);
    assert_eq!(verified(&stores).await, []);
}

/// How far targets have come, without a record: for the head that it was made for alone.
pub async fn a_note_alone_changes_the_head_it_was_made_for<B: Backend>() {
    let backend = B::fresh().await;
    let stores = backend.open().await;
    let mut written = Written::begin("gateway-1");
    written.append(&stores, NOW, 2).await;
    let before = written.head.clone().unwrap();
    let note = |head: &ChainHead, through| {
        keys().sign(ChainHead { sent: [("file".to_owned(), through)].into(), ..head.clone() })
    };
    let noted = note(&before, 2);
    stores.audit.append(Some(&before), &noted, &[]).await.unwrap();
    stores.audit.append(Some(&noted), &noted, &[]).await.unwrap();
    (written.chain, written.head) =
        (Chain::resume(noted.clone(), NodeId::from_text("node")), Some(noted.clone()));
    written.append(&stores, NOW, 1).await;
    let late = stores.audit.append(Some(&noted), &note(&noted, 1), &[]).await;
    assert!(matches!(late, Err(StoreError::Conflict)), "{late:?}");
    let found = stores.audit.list_chains().await.unwrap().remove(0).head;
    assert_eq!(found, written.head);
    assert_eq!(verified(&stores).await, []);
}

pub async fn kept_over_a_restart<B: Backend>() {
    let backend = B::fresh().await;
    let mut written = Written::begin("gateway-1");
    written.append(&backend.open().await, NOW, 2).await;
    let stores = backend.open().await;
    written.append(&stores, NOW, 1).await;
    assert_eq!(stores.upkeep.purge(NOW + MINUTE, NOW + MINUTE).await.unwrap(), 0);
    assert_eq!(verified(&stores).await, []);
}
