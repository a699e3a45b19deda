//! The end of a chain in the store: takes one up or begins one, and appends to it. Of two that take
//! up one chain the store lets one append; the other goes on with a chain of its own.

use std::sync::Arc;

use portunus_core::{
    Entropy, Timestamp,
    audit::{
        AuditKeys, CHECKPOINT_EVERY, Chain, ChainHead, ChainId, ChainedRecord, Entry, Event,
        Origin, Person, Position, Signature,
    },
    ids::NodeId,
    store::{AuditStore, StoreError, StoredChain},
};

/// Positions of other chains that a chain names when it is begun or taken up.
const BESIDE: usize = 16;
/// Records that are looked at, and deleted, in one step.
const STEP: usize = 500;

/// Who writes.
#[derive(Clone)]
pub(super) struct Writing {
    pub(super) store: Arc<dyn AuditStore>,
    pub(super) keys: AuditKeys,
    pub(super) entropy: Arc<dyn Entropy>,
    pub(super) node: NodeId,
    /// `gateway` or `command`.
    pub(super) writer: &'static str,
    /// No other of its kind writes to the store: a chain that was left open is taken up too.
    pub(super) is_alone: bool,
}

/// The end of a chain.
pub(super) struct ChainEnd {
    writing: Writing,
    chain: Chain,
    /// What the store has.
    stored: Option<ChainHead>,
    /// The record up to which a checkpoint vouches.
    vouched: u64,
    /// That a record does not hold what is old back from its deletion is told once.
    has_warned: bool,
}

impl ChainEnd {
    /// Takes up the newest chain that may be, or begins one, with the record that says so.
    pub(super) async fn open(
        writing: Writing,
        now: Timestamp,
    ) -> Result<(Self, Vec<ChainedRecord>), StoreError> {
        let chains = writing.store.list_chains().await?;
        let good = |chain: StoredChain| {
            chain.head.filter(|head| writing.keys.check_head(head) == Signature::Good)
        };
        let mut heads: Vec<ChainHead> = chains.into_iter().filter_map(good).collect();
        heads.sort_by_key(|head| std::cmp::Reverse(head.last_at));
        for head in &heads {
            if !head.chain.is_of(writing.writer) || !(head.is_closed || writing.is_alone) {
                continue;
            }
            let mut end = Self {
                chain: Chain::resume(head.clone(), writing.node.clone()),
                stored: Some(head.clone()),
                vouched: head.last,
                writing: writing.clone(),
                has_warned: false,
            };
            match end.append(vec![end.started(&heads, now)]).await {
                Err(StoreError::Conflict) => {}
                Err(error) => return Err(error),
                Ok(started) => return Ok((end, started)),
            }
        }
        let mut end = Self::begin(writing);
        let started = end.append(vec![end.started(&heads, now)]).await?;
        Ok((end, started))
    }

    fn begin(writing: Writing) -> Self {
        let id = ChainId::generate(writing.writer, &*writing.entropy);
        let chain = Chain::begin(id, writing.node.clone());
        Self { writing, chain, stored: None, vouched: 0, has_warned: false }
    }

    fn started(&self, heads: &[ChainHead], at: Timestamp) -> Entry {
        let others = heads.iter().filter(|head| head.chain != *self.chain.id() && head.last > 0);
        let beside: Vec<Position> = others.take(BESIDE).map(ChainHead::position).collect();
        own(at, Event::Started { version: env!("CARGO_PKG_VERSION").to_owned(), beside })
    }

    pub(super) fn change_keys(&mut self, keys: AuditKeys) {
        self.writing.keys = keys;
    }

    /// Are there records that no checkpoint vouches for?
    pub(super) const fn is_unvouched(&self) -> bool {
        self.chain.last() > self.vouched
    }

    /// Appends these, with a checkpoint if one is due, in one step. Nothing is appended if it
    /// fails.
    pub(super) async fn append(
        &mut self,
        entries: Vec<Entry>,
    ) -> Result<Vec<ChainedRecord>, StoreError> {
        let last = entries.last().map(|entry| entry.at);
        let mut chain = self.chain.clone();
        let mut records: Vec<_> = entries.into_iter().map(|entry| chain.append(entry)).collect();
        let vouched = match last {
            Some(at) if chain.last() - self.vouched >= CHECKPOINT_EVERY => {
                records.push(chain.checkpoint(at, &self.writing.keys));
                chain.last()
            }
            _ => self.vouched,
        };
        self.keep(chain, vouched, &records).await?;
        Ok(records)
    }

    /// Signs how far it has come.
    pub(super) async fn checkpoint(
        &mut self,
        at: Timestamp,
    ) -> Result<Vec<ChainedRecord>, StoreError> {
        let mut chain = self.chain.clone();
        let records = vec![chain.checkpoint(at, &self.writing.keys)];
        let vouched = chain.last();
        self.keep(chain, vouched, &records).await?;
        Ok(records)
    }

    /// Says that its writer ends, and signs that.
    pub(super) async fn close(&mut self, at: Timestamp) -> Result<Vec<ChainedRecord>, StoreError> {
        let mut chain = self.chain.clone();
        let stopped = chain.append(own(at, Event::Stopped));
        let records = vec![stopped, chain.checkpoint(at, &self.writing.keys)];
        let vouched = chain.last();
        self.keep(chain, vouched, &records).await?;
        Ok(records)
    }

    async fn keep(
        &mut self,
        chain: Chain,
        vouched: u64,
        records: &[ChainedRecord],
    ) -> Result<(), StoreError> {
        let after = chain.head(&self.writing.keys);
        let appended = self.writing.store.append(self.stored.as_ref(), &after, records).await;
        if let Err(error) = appended {
            // The answer to an earlier try may have been lost.
            let is_there = matches!(error, StoreError::Conflict)
                && self.find_stored().await? == Some(after.clone());
            if !is_there {
                return Err(error);
            }
        }
        (self.chain, self.stored, self.vouched) = (chain, Some(after), vouched);
        Ok(())
    }

    async fn find_stored(&self) -> Result<Option<ChainHead>, StoreError> {
        let chains = self.writing.store.list_chains().await?;
        let own = chains.into_iter().find(|chain| chain.id == *self.chain.id());
        Ok(own.and_then(|chain| chain.head))
    }

    /// After a conflict: the start may have been deleted in its time by another gateway, which
    /// changes nothing at the end. If another writer appended, a new chain is begun.
    pub(super) async fn make_up(
        &mut self,
        now: Timestamp,
    ) -> Result<Vec<ChainedRecord>, StoreError> {
        let found = self.find_stored().await?;
        let is_ours = |head: &ChainHead| {
            self.stored.as_ref().is_some_and(|stored| {
                (head.last, head.last_hash) == (stored.last, stored.last_hash)
                    && self.writing.keys.check_head(head) == Signature::Good
            })
        };
        if let Some(head) = found.filter(is_ours) {
            self.chain = Chain::resume(head.clone(), self.writing.node.clone());
            self.stored = Some(head);
            return Ok(Vec::new());
        }
        tracing::error!(
            chain = self.chain.id().as_str(),
            "the chain of audit records was changed by another: a new one is begun (`portunus audit verify` says more)"
        );
        let mut heads = Vec::from_iter(self.stored.clone());
        let new = Self::begin(self.writing.clone());
        heads.retain(|head| head.chain != *new.chain.id());
        let old = std::mem::replace(self, new);
        let started = self.started(&heads, now);
        let appended = self.append(vec![started]).await;
        if appended.is_err() {
            *self = old;
        }
        appended
    }

    /// Deletes what is older, of this chain and of those of others, in so many steps at most.
    pub(super) async fn expire(
        &mut self,
        older_than: Timestamp,
        now: Timestamp,
        steps: usize,
    ) -> Expired {
        let mut expired = Expired { told: Vec::new(), result: Ok(false) };
        expired.result = self.expire_steps(older_than, now, steps, &mut expired.told).await;
        expired
    }

    /// Is there more to do?
    async fn expire_steps(
        &mut self,
        older_than: Timestamp,
        now: Timestamp,
        mut steps: usize,
        told: &mut Vec<Entry>,
    ) -> Result<bool, StoreError> {
        for StoredChain { id, head } in self.writing.store.list_chains().await? {
            let is_own = id == *self.chain.id();
            let head = if is_own { self.stored.clone() } else { head };
            let Some(mut head) =
                head.filter(|head| self.writing.keys.check_head(head) == Signature::Good)
            else {
                continue;
            };
            let before = head.deleted;
            let ended = self.expire_chain(&mut head, is_own, older_than, &mut steps).await;
            if head.deleted > before {
                told.push(own(now, Event::Expired { of: id, through: head.deleted }));
            }
            if ended? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Of one chain, until nothing is old or no step is left: then it says so.
    async fn expire_chain(
        &mut self,
        head: &mut ChainHead,
        is_own: bool,
        older_than: Timestamp,
        steps: &mut usize,
    ) -> Result<bool, StoreError> {
        while let Some(after) = self.next_step(head, older_than).await? {
            let Some(left) = steps.checked_sub(1) else { return Ok(true) };
            *steps = left;
            match self.writing.store.delete_records(head, &after).await {
                // Its own gateway writes it just now.
                Err(StoreError::Conflict) => break,
                deleted => deleted?,
            }
            *head = after;
            if is_own {
                self.chain = Chain::resume(head.clone(), self.writing.node.clone());
                self.stored = Some(head.clone());
            }
        }
        Ok(false)
    }

    /// The head after the next records that are old are deleted. What stands beside a record's text
    /// is not signed: its text says when it was, and the hashes say that it was written so.
    async fn next_step(
        &mut self,
        head: &ChainHead,
        older_than: Timestamp,
    ) -> Result<Option<ChainHead>, StoreError> {
        let store = &self.writing.store;
        let records = store.read_records(&head.chain, head.deleted + 1, STEP).await?;
        let (mut through, mut hash) = (head.deleted, head.deleted_hash);
        // What is behind the head came after it was read.
        for record in records.iter().take_while(|record| record.seq <= head.last) {
            let seq = through + 1;
            let follows = hash.follow(&record.text);
            let read = record.read().filter(|read| {
                record.hash == follows
                    && record.seq == seq
                    && (&read.chain, read.seq, read.at) == (&head.chain, seq, record.at)
                    && (seq < head.last || follows == head.last_hash)
            });
            let Some(read) = read else {
                // It is left for `verify` to name, and what follows with it.
                if !std::mem::replace(&mut self.has_warned, true) {
                    tracing::warn!(
                        chain = head.chain.as_str(),
                        seq,
                        "old audit records are kept: one is not as it was written (`portunus audit verify` says more)"
                    );
                }
                break;
            };
            if read.at >= older_than {
                break;
            }
            (through, hash) = (seq, follows);
        }
        Ok((through > head.deleted).then(|| self.writing.keys.sign(head.without(through, hash))))
    }
}

/// What a turn of [`ChainEnd::expire`] has done.
pub(super) struct Expired {
    /// How far records were deleted, to be recorded also if a later step failed.
    pub(super) told: Vec<Entry>,
    /// Is there more to do?
    pub(super) result: Result<bool, StoreError>,
}

/// Of the gateway itself.
pub(super) fn own(at: Timestamp, event: Event) -> Entry {
    Entry { at, person: Person::default(), origin: Origin::default(), event }
}
