//! The end of a chain in the store: takes one up or begins one, and appends to it. Of two that take
//! up one chain the store lets one append; the other goes on with a chain of its own. So does who
//! finds its chain damaged. What is old is deleted next door ([`super::expiry`]).

use std::sync::Arc;

use portunus_core::{
    Entropy, Timestamp,
    audit::{
        AuditKeys, CHECKPOINT_EVERY, Chain, ChainHead, ChainId, ChainedRecord, Entry, Event,
        Origin, Person, Position, Signature,
    },
    ids::NodeId,
    store::{AuditStore, StoreError},
};

use super::targets::Targets;

/// Positions of other chains that a chain names when it is begun or taken up.
const BESIDE: usize = 16;

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
    /// Who gets the records beside the store.
    pub(super) targets: Targets,
}

/// The end of a chain.
pub(super) struct ChainEnd {
    pub(super) writing: Writing,
    pub(super) chain: Chain,
    /// What the store has.
    pub(super) stored: Option<ChainHead>,
    /// The record up to which a checkpoint vouches.
    vouched: u64,
    /// What the store may have taken or not: nothing else is appended before that is known.
    pending: Option<Pending>,
    /// The first record that was written since it was opened.
    first: u64,
    /// When the newest record of any chain was written before it was opened.
    pub(super) newest: Option<Timestamp>,
    /// That a record does not hold what is old back from its deletion is told once.
    pub(super) has_warned: bool,
    /// A deletion through this record of a chain that was made, or was not.
    pub(super) unsure: Option<(ChainId, u64)>,
}

/// Records on their way to the store, and the chain's head as it is when they are there. Without
/// records it is a note: how far targets have come.
struct Pending {
    after: ChainHead,
    vouched: u64,
    records: Vec<ChainedRecord>,
}

/// What became of one try to append.
enum Attempt {
    Kept,
    /// The chain's start was deleted in its time meanwhile: once more.
    Again,
    /// Another appended to the chain, or it cannot be appended to.
    Lost,
}

impl ChainEnd {
    /// Takes up the newest chain that may be, or begins one, with the record that says so. Whatever
    /// is wrong with what is stored is told and left as it is; only a store that cannot be reached
    /// is an error.
    pub(super) async fn open(writing: Writing, now: Timestamp) -> Result<Self, StoreError> {
        let heads = find_heads(&writing).await?;
        let newest = heads.first().map(|head| head.last_at);
        for head in &heads {
            if !head.chain.is_of(writing.writer) || !(head.is_closed || writing.is_alone) {
                continue;
            }
            if !is_whole_at_its_end(&writing, head).await? {
                tracing::error!(
                    chain = head.chain.as_str(),
                    "the chain of audit records is damaged at its end: a new one is begun (`portunus audit verify` says more)"
                );
                continue;
            }
            let mut end = Self {
                chain: Chain::resume(head.clone(), writing.node.clone()),
                stored: Some(head.clone()),
                vouched: head.last,
                pending: None,
                first: head.last + 1,
                newest,
                writing: writing.clone(),
                has_warned: false,
                unsure: None,
            };
            end.writing.targets.begin(head);
            end.push(vec![end.started(&heads, now)], None);
            loop {
                match end.attempt().await? {
                    Attempt::Kept => return Ok(end),
                    Attempt::Again => {}
                    Attempt::Lost => break,
                }
            }
        }
        let mut end = Self::begin(writing);
        end.newest = newest;
        end.push(vec![end.started(&heads, now)], None);
        // What is so damaged that no chain can be begun is tried again with the first events.
        match end.settle(now).await {
            Err(StoreError::Corrupt(error)) => {
                tracing::error!(error, "no chain of audit records can be begun yet");
            }
            settled => settled?,
        }
        Ok(end)
    }

    fn begin(writing: Writing) -> Self {
        let id = ChainId::generate(writing.writer, &*writing.entropy);
        let chain = Chain::begin(id, writing.node.clone());
        writing.targets.begin_at(chain.id(), 0);
        Self {
            writing,
            chain,
            stored: None,
            vouched: 0,
            pending: None,
            first: 1,
            newest: None,
            has_warned: false,
            unsure: None,
        }
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

    /// The newest record that the store has.
    pub(super) fn position(&self) -> u64 {
        self.stored.as_ref().map_or(0, |head| head.last)
    }

    /// Is it known what the store has?
    pub(super) const fn is_settled(&self) -> bool {
        self.pending.is_none()
    }

    /// Where what was written since it was opened begins.
    pub(super) fn opened_at(&self) -> (ChainId, u64) {
        (self.chain.id().clone(), self.first)
    }

    /// Has these appended, with a checkpoint at their end if one is asked for, or is due. Nothing
    /// may be pending; [`Self::settle`] gives it to the store.
    pub(super) fn push(&mut self, entries: Vec<Entry>, checkpoint: Option<Timestamp>) {
        let mut chain = self.chain.clone();
        let last = entries.last().map(|entry| entry.at);
        let mut records: Vec<_> = entries.into_iter().map(|entry| chain.append(entry)).collect();
        let is_due = chain.last() - self.vouched >= CHECKPOINT_EVERY;
        let vouched = match checkpoint.or(last.filter(|_| is_due)) {
            Some(at) => {
                records.push(chain.checkpoint(at, &self.writing.keys));
                chain.last()
            }
            None => self.vouched,
        };
        chain.note_sent(self.writing.targets.noted(chain.id()));
        let after = chain.head(&self.writing.keys);
        self.pending = Some(Pending { after, vouched, records });
    }

    /// Until the store has what is pending, or cannot be asked: then it stays pending, and is given
    /// to the store again as it is. An append whose answer was lost is found by its head.
    pub(super) async fn settle(&mut self, now: Timestamp) -> Result<(), StoreError> {
        let mut has_begun_anew = false;
        loop {
            match self.attempt().await? {
                Attempt::Kept => return Ok(()),
                Attempt::Again => {}
                Attempt::Lost if has_begun_anew => {
                    return Err(StoreError::Corrupt("a new chain cannot be written".to_owned()));
                }
                Attempt::Lost => {
                    has_begun_anew = true;
                    self.begin_anew(now);
                }
            }
        }
    }

    async fn attempt(&mut self) -> Result<Attempt, StoreError> {
        let Some(Pending { after, records, .. }) = &self.pending else {
            return Ok(Attempt::Kept);
        };
        match self.writing.store.append(self.stored.as_ref(), after, records).await {
            Ok(()) => {
                let after = after.clone();
                self.adopt(after);
                Ok(Attempt::Kept)
            }
            Err(StoreError::Conflict) => self.compare().await,
            Err(StoreError::Corrupt(error)) => {
                tracing::error!(error, "audit records cannot be appended to their chain");
                Ok(Attempt::Lost)
            }
            Err(error) => Err(error),
        }
    }

    /// The chain's head is not what it was. What is pending may be there for all that: the answer
    /// to an earlier try was lost, and the chain's start was deleted, or another has taken it up,
    /// since then. What is there is not written a second time.
    async fn compare(&mut self) -> Result<Attempt, StoreError> {
        let found = self.find_stored().await?;
        let Some(Pending { after, records, .. }) = &self.pending else {
            return Ok(Attempt::Kept);
        };
        let is_good = |head: &ChainHead| self.writing.keys.check_head(head) == Signature::Good;
        let Some(head) = found.filter(is_good) else { return Ok(self.give_up()) };
        let is_there = !records.is_empty() && is_at_one_place(&head, after);
        if head == *after || is_there {
            self.adopt(head);
            return Ok(Attempt::Kept);
        }
        if self.is_where_it_was(&head) {
            self.go_on_from(head);
            self.make_again(Vec::new());
            return Ok(Attempt::Again);
        }
        if head.last > after.last && !records.is_empty() {
            let (chain, last) = (after.chain.clone(), after.last);
            let stands = self.writing.store.read_records(&chain, last, 1).await?;
            if let Some(Pending { after, .. }) = &self.pending
                && stands.first().is_some_and(|record| record.hash == after.last_hash)
            {
                // The chain is another's by now: what follows begins one of its own.
                let after = after.clone();
                self.adopt(after);
                return Ok(Attempt::Kept);
            }
        }
        Ok(self.give_up())
    }

    /// What is pending does not belong to the chain any more. A note alone is of no use elsewhere.
    fn give_up(&mut self) -> Attempt {
        if self.pending.as_ref().is_some_and(|pending| pending.records.is_empty()) {
            tracing::debug!("how far audit records were sent is not noted: another has the chain");
            self.pending = None;
            return Attempt::Kept;
        }
        Attempt::Lost
    }

    /// What was pending is with the store, whose head is this.
    fn adopt(&mut self, head: ChainHead) {
        if let Some(Pending { after, vouched, .. }) = self.pending.take() {
            self.writing.targets.came_to(&after.chain, after.last);
            self.vouched = vouched;
            self.go_on_from(head);
        }
    }

    /// The store has the chain with this head.
    pub(super) fn go_on_from(&mut self, head: ChainHead) {
        self.chain = Chain::resume(head.clone(), self.writing.node.clone());
        self.stored = Some(head);
    }

    /// Only the start was deleted in its time, by another gateway.
    pub(super) fn is_where_it_was(&self, head: &ChainHead) -> bool {
        self.stored.as_ref().is_some_and(|stored| {
            is_at_one_place(head, stored) && self.writing.keys.check_head(head) == Signature::Good
        })
    }

    pub(super) async fn find_stored(&self) -> Result<Option<ChainHead>, StoreError> {
        let chains = self.writing.store.list_chains().await?;
        let own = chains.into_iter().find(|chain| chain.id == *self.chain.id());
        Ok(own.and_then(|chain| chain.head))
    }

    /// What is pending, for the chain as it is now, behind `first`.
    fn make_again(&mut self, first: Vec<Entry>) {
        let Some(Pending { records, .. }) = self.pending.take() else { return };
        let mut checkpoint = None;
        let mut entries = first;
        for record in records.iter().filter_map(ChainedRecord::read) {
            match record.event {
                Event::Checkpoint { .. } => checkpoint = Some(record.at),
                event => entries.push(Entry {
                    at: record.at,
                    person: record.person,
                    origin: record.origin,
                    event,
                }),
            }
        }
        self.push(entries, checkpoint);
    }

    /// What is pending goes to a chain of its own.
    fn begin_anew(&mut self, now: Timestamp) {
        tracing::error!(
            chain = self.chain.id().as_str(),
            "the chain of audit records was changed by another: a new one is begun (`portunus audit verify` says more)"
        );
        let id = ChainId::generate(self.writing.writer, &*self.writing.entropy);
        let heads = Vec::from_iter(self.stored.take());
        self.chain = Chain::begin(id, self.writing.node.clone());
        (self.vouched, self.first) = (0, 1);
        let started = self.started(&heads, now);
        self.make_again(vec![started]);
    }
}

/// Have both come equally far? What was deleted at the start, and what targets have, may differ.
fn is_at_one_place(one: &ChainHead, other: &ChainHead) -> bool {
    (one.last, one.last_hash) == (other.last, other.last_hash)
}

/// The heads of all chains whose signature is good, the newest first.
async fn find_heads(writing: &Writing) -> Result<Vec<ChainHead>, StoreError> {
    let chains = match writing.store.list_chains().await {
        Err(StoreError::Corrupt(error)) => {
            tracing::error!(
                error,
                "the chains of audit records cannot be listed: a new one is begun (`portunus audit verify` says more)"
            );
            return Ok(Vec::new());
        }
        chains => chains?,
    };
    let mut heads = Vec::with_capacity(chains.len());
    for chain in chains {
        match chain.head {
            Some(head)
                if head.chain == chain.id && writing.keys.check_head(&head) == Signature::Good =>
            {
                heads.push(head);
            }
            _ if chain.id.is_of(writing.writer) => tracing::error!(
                chain = chain.id.as_str(),
                "how far a chain of audit records had come is gone, or not signed by this gateway's AUTH_SECRET: it is not gone on with (`portunus audit verify` says more)"
            ),
            _ => {}
        }
    }
    heads.sort_by_key(|head| std::cmp::Reverse(head.last_at));
    Ok(heads)
}

/// Is the chain's last record the one that its head is about?
async fn is_whole_at_its_end(writing: &Writing, head: &ChainHead) -> Result<bool, StoreError> {
    if head.last == head.deleted {
        return Ok(true);
    }
    let from = head.last.saturating_sub(1).max(head.deleted + 1);
    let mut records = match writing.store.read_records(&head.chain, from, 3).await {
        Err(StoreError::Corrupt(_)) => return Ok(false),
        records => records?,
    };
    // Another gateway may have taken it up meanwhile; what else is behind it, the append refuses.
    records.retain(|record| record.seq <= head.last);
    let Some((last, before)) = records.split_last() else { return Ok(false) };
    let follows = match before {
        [] if from > head.deleted + 1 => return Ok(false),
        [] => Some(head.deleted_hash),
        [before] => Some(before.hash),
        _ => None,
    };
    Ok(last.seq == head.last
        && last.hash == head.last_hash
        && follows.is_some_and(|before| before.follow(&last.text) == last.hash))
}

/// Of the gateway itself.
pub(super) fn own(at: Timestamp, event: Event) -> Entry {
    Entry { at, person: Person::default(), origin: Origin::default(), event }
}
