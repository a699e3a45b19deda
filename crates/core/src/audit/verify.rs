//! Is a chain what was written? Reads it once, record by record, and names each thing that is wrong
//! with its position ([`super::finding`]). What it is held against: the hashes, the checkpoints,
//! the head that stands beside the chain, and what other chains said of it.

use std::collections::BTreeMap;

use super::{
    chain::{CHECKPOINT_EVERY, ChainedRecord},
    event::Event,
    finding::{Finding, Problem},
    head::{ChainHead, checkpoint_text},
    key::{AuditKeys, Signature},
    position::{ChainId, Position, RecordHash},
};

/// Records between two checkpoints at most: a batch may stand before the checkpoint that is due.
const CHECKPOINT_OVERDUE: u64 = 4 * CHECKPOINT_EVERY;

/// Verifies one chain after the other, and then what they say of one another.
pub struct Verifier<'a> {
    keys: &'a AuditKeys,
    findings: Vec<Finding>,
    /// What chains say of others, and where.
    named: Vec<(ChainId, u64, Position)>,
    /// The hashes at the positions that are named, as far as they were found.
    seen: BTreeMap<(ChainId, u64), RecordHash>,
    ends: BTreeMap<ChainId, (u64, u64)>,
    records: u64,
    unvouched: u64,
}

/// One chain while it is read.
pub struct Reading<'v, 'a> {
    verifier: &'v mut Verifier<'a>,
    chain: ChainId,
    /// Only if its signature is good, or its key is not known.
    head: Option<ChainHead>,
    /// The number of the record before, and its hash if that record was there.
    before: u64,
    hash: Option<RecordHash>,
    /// Of a file.
    is_partial: bool,
    /// Has any record been read?
    is_begun: bool,
    /// Records since the last checkpoint whose signature is good.
    since_good: u64,
    since_checkpoint: u64,
    /// Checkpoints of unknown keys since the last good one.
    unvouched: Vec<u64>,
    last: Option<RecordHash>,
    /// What was deleted in its time while it was read.
    deleted: u64,
}

impl<'a> Verifier<'a> {
    pub const fn new(keys: &'a AuditKeys) -> Self {
        Self {
            keys,
            findings: Vec::new(),
            named: Vec::new(),
            seen: BTreeMap::new(),
            ends: BTreeMap::new(),
            records: 0,
            unvouched: 0,
        }
    }

    /// The positions that the chains read so far name in others.
    pub fn named(&self) -> impl Iterator<Item = &Position> {
        self.named.iter().map(|(_, _, position)| position)
    }

    /// What stands there. The chain is to be read all the same: one that is in no list is missed.
    pub fn found(&mut self, at: &Position, hash: RecordHash) {
        self.seen.insert((at.chain.clone(), at.seq), hash);
    }

    /// What stands there is not at hand, as for a file, and so nothing is said of it.
    pub fn is_elsewhere(&mut self, at: &Position) {
        self.named.retain(|(_, _, position)| position != at);
    }

    /// More of a chain was deleted in its time meanwhile: this is its head now.
    pub fn deleted(&mut self, head: &ChainHead) {
        if self.keys.check_head(head) == Signature::Good
            && let Some((deleted, _)) = self.ends.get_mut(&head.chain)
        {
            *deleted = head.deleted.max(*deleted);
        }
    }

    /// Begins with a chain. `head` is what stands beside it; `is_partial`: of a file, which has
    /// none and may begin anywhere.
    pub fn chain<'v>(
        &'v mut self,
        chain: &ChainId,
        head: Option<&ChainHead>,
        is_partial: bool,
    ) -> Reading<'v, 'a> {
        let mut kept = None;
        match head {
            None if is_partial => {}
            None => self.find(chain, 0, Problem::NoHead),
            Some(head) => match self.keys.check_head(head) {
                Signature::Forged => self.find(chain, 0, Problem::HeadForged),
                Signature::UnknownKey => self.find(chain, 0, Problem::HeadUnknownKey),
                Signature::Good if head.chain != *chain => {
                    self.find(chain, 0, Problem::HeadForged);
                }
                Signature::Good => kept = Some(head.clone()),
            },
        }
        let (before, hash) =
            kept.as_ref().map_or((0, chain.beginning()), |head| (head.deleted, head.deleted_hash));
        Reading {
            verifier: self,
            chain: chain.clone(),
            before,
            // In a store without a good head the first record may be any. A file may begin
            // anywhere, but the chain's first record follows the chain's beginning there too.
            hash: (kept.is_some() || is_partial).then_some(hash),
            head: kept,
            is_partial,
            is_begun: false,
            since_good: 0,
            since_checkpoint: 0,
            unvouched: Vec::new(),
            last: None,
            deleted: 0,
        }
    }

    fn find(&mut self, chain: &ChainId, seq: u64, problem: Problem) {
        self.findings.push(Finding { chain: chain.clone(), seq, problem });
    }

    /// How many records were read.
    pub const fn records(&self) -> u64 {
        self.records
    }

    /// How many of them, of files, no checkpoint vouches for: who has no key can make such ones.
    pub const fn unvouched(&self) -> u64 {
        self.unvouched
    }

    pub fn chains(&self) -> usize {
        self.ends.len()
    }

    /// Everything that is wrong, chain by chain.
    pub fn finish(mut self) -> Vec<Finding> {
        if self.ends.is_empty() {
            self.find(&ChainId::from_text("-"), 0, Problem::NothingRecorded);
        }
        for (chain, seq, other) in std::mem::take(&mut self.named) {
            let place = (other.chain.clone(), other.seq);
            let is_there = match (self.seen.get(&place), self.ends.get(&other.chain)) {
                (Some(hash), Some(_)) => *hash == other.hash,
                // Deleted in its time.
                (None, Some((deleted, _))) => other.seq <= *deleted,
                (_, None) => false,
            };
            if !is_there {
                self.find(&chain, seq, Problem::ChainMissing { other });
            }
        }
        self.findings
    }
}

impl Reading<'_, '_> {
    fn find(&mut self, seq: u64, problem: Problem) {
        self.verifier.find(&self.chain, seq, problem);
    }

    /// The number of the record that comes next.
    pub const fn next(&self) -> u64 {
        self.before.saturating_add(1)
    }

    /// The chain's head as it is by now: records that were to come next may have been deleted in
    /// their time since, and then the next one follows those. Says if that is so.
    pub fn go_on_from(&mut self, head: &ChainHead) -> bool {
        let is_good = head.chain == self.chain
            && self.verifier.keys.check_head(head) == Signature::Good
            && self.head.is_some();
        let is_gone = is_good && head.deleted > self.before;
        if is_gone {
            // What was read before led to a signed head, which vouches for it.
            self.leave_unvouched();
            self.before = head.deleted;
            self.hash = Some(head.deleted_hash);
            self.last = None;
            self.deleted = head.deleted;
        }
        is_gone
    }

    /// The rest of the chain cannot be read.
    pub fn unreadable(&mut self) {
        self.find(self.next(), Problem::Unreadable);
    }

    /// The next record, in the order of their numbers as they are kept.
    pub fn take(&mut self, record: &ChainedRecord) {
        self.verifier.records += 1;
        let seq = record.seq;
        if seq <= self.before {
            self.find(seq, Problem::OutOfOrder);
            return;
        }
        if self.head.as_ref().is_some_and(|head| seq > head.last) {
            self.find(seq, Problem::Appended);
            self.before = seq;
            self.is_begun = true;
            return;
        }
        if seq > self.before + 1 {
            let (from, to) = (self.before + 1, seq - 1);
            match (self.is_begun, &self.head) {
                (true, _) => self.find(from, Problem::Missing { to }),
                (false, Some(_)) => self.find(from, Problem::MissingAtStart { to }),
                // Nothing says where it begins.
                (false, None) => {}
            }
            self.hash = None;
            self.leave_unvouched();
        }
        let read = record.read();
        match &read {
            None => self.find(seq, Problem::Unreadable),
            Some(read) if (&read.chain, read.seq, read.at) != (&self.chain, seq, record.at) => {
                self.find(seq, Problem::Misplaced);
            }
            Some(_) => {}
        }
        if self.hash.is_some_and(|before| before.follow(&record.text) != record.hash) {
            let is_first = !self.is_begun && self.before > 0;
            self.find(seq, if is_first { Problem::OtherStart } else { Problem::Changed });
        }
        self.since_checkpoint += 1;
        self.since_good += 1;
        if self.hash.is_none() {
            // Nothing says what its hash is made of.
            self.leave_unvouched();
        }
        match read.map(|read| read.event) {
            Some(Event::Checkpoint { through, hash, key, signature }) => {
                self.checkpoint(seq, through, &hash, &key, &signature);
            }
            Some(Event::Started { beside, .. }) => {
                let named = beside.into_iter().map(|other| (self.chain.clone(), seq, other));
                self.verifier.named.extend(named);
            }
            _ => {}
        }
        if self.since_checkpoint == CHECKPOINT_OVERDUE {
            self.find(seq, Problem::CheckpointMissing);
        }
        self.is_begun = true;
        self.before = seq;
        self.hash = Some(record.hash);
        self.last = Some(record.hash);
    }

    fn checkpoint(
        &mut self,
        seq: u64,
        through: u64,
        hash: &RecordHash,
        key: &str,
        signature: &str,
    ) {
        let text = checkpoint_text(&self.chain, through, hash);
        let is_of_the_chain =
            through.checked_add(1) == Some(seq) && self.hash.is_none_or(|before| before == *hash);
        match self.verifier.keys.check(key, &text, signature) {
            Signature::Good if is_of_the_chain => {
                self.unvouched.clear();
                self.since_checkpoint = 0;
                self.since_good = 0;
            }
            Signature::Good | Signature::Forged => self.find(seq, Problem::CheckpointForged),
            Signature::UnknownKey => {
                self.unvouched.push(seq);
                self.since_checkpoint = 0;
            }
        }
    }

    /// No checkpoint that follows reaches back to what was read since the last good one.
    fn leave_unvouched(&mut self) {
        let since_good = std::mem::take(&mut self.since_good);
        if self.is_partial {
            self.verifier.unvouched += since_good;
        }
    }

    /// The chain was read to its end.
    pub fn finish(mut self) {
        let (mut deleted, mut last) = (0, self.before);
        if let Some(head) = self.head.take() {
            (deleted, last) = (head.deleted.max(self.deleted), head.last);
            if self.before < head.last {
                self.find(self.before + 1, Problem::MissingAtEnd { to: head.last });
            } else if self.before == head.last
                && self.last.is_some_and(|last| last != head.last_hash)
            {
                self.find(head.last, Problem::OtherEnd);
            }
            // The signed end vouches for all that leads to it.
            self.unvouched.clear();
        }
        self.leave_unvouched();
        for seq in std::mem::take(&mut self.unvouched) {
            self.find(seq, Problem::CheckpointUnknownKey);
        }
        self.verifier.ends.insert(self.chain.clone(), (deleted, last));
    }
}
