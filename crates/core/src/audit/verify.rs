//! Is a chain what was written? Reads it once, record by record, and names each thing that is wrong
//! with its position. What it is held against: the hashes, the checkpoints, the head that stands
//! beside the chain, and what other chains said of it.

use std::{collections::BTreeMap, fmt};

use super::{
    chain::{CHECKPOINT_EVERY, ChainedRecord},
    event::Event,
    head::{ChainHead, checkpoint_text},
    key::{AuditKeys, Signature},
    position::{ChainId, Position, RecordHash},
};

/// Records between two checkpoints at most: a batch may stand before the checkpoint that is due.
const CHECKPOINT_OVERDUE: u64 = 4 * CHECKPOINT_EVERY;

/// Something that is wrong, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    pub chain: ChainId,
    /// The record that it is about; 0: the chain as a whole.
    pub seq: u64,
    pub problem: Problem,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Problem {
    /// Nothing beside the chain says how far it had come.
    NoHead,
    HeadForged,
    HeadUnknownKey,
    /// From `seq` to here.
    Missing {
        to: u64,
    },
    /// Records up to here are missing at the start, from `seq` on.
    MissingAtStart {
        to: u64,
    },
    MissingAtEnd {
        to: u64,
    },
    /// Behind the end that the head knows.
    Appended,
    /// The same number once more, or out of order.
    OutOfOrder,
    /// Its text is that of another chain's record, or of another number or time.
    Misplaced,
    /// Its text is no record.
    Unreadable,
    /// Its hash does not follow from its text and the hash before.
    Changed,
    CheckpointForged,
    CheckpointUnknownKey,
    /// There should have been a checkpoint before this one.
    CheckpointMissing,
    /// The last record is not the one that the head was signed for.
    OtherEnd,
    /// The first record that is kept does not follow what was deleted in its time.
    OtherStart,
    /// It names another chain that is gone, is in no list, or has not come as far as it says.
    ChainMissing {
        other: Position,
    },
    /// No chain at all.
    NothingRecorded,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { chain, seq, problem } = self;
        match problem {
            Problem::NothingRecorded => {
                f.write_str("no chain: nothing was recorded here, or all of it is gone")
            }
            Problem::NoHead => write!(f, "{chain}: what says how far it had come is gone"),
            Problem::HeadForged => {
                write!(f, "{chain}: what says how far it had come was changed (its signature)")
            }
            Problem::HeadUnknownKey => {
                write!(
                    f,
                    "{chain}: how far it had come is signed with an AUTH_SECRET that is not configured"
                )
            }
            Problem::Missing { to } | Problem::MissingAtEnd { to } if seq == to => {
                write!(f, "{chain} {seq}: this record is missing")
            }
            Problem::Missing { to } => {
                write!(f, "{chain} {seq}: records {seq} to {to} are missing")
            }
            Problem::MissingAtStart { to } => {
                write!(f, "{chain} {seq}: records {seq} to {to} are missing at the start")
            }
            Problem::MissingAtEnd { to } => {
                write!(f, "{chain} {seq}: records {seq} to {to} are missing at the end")
            }
            Problem::Appended => {
                write!(f, "{chain} {seq}: behind the signed end: not appended by a gateway")
            }
            Problem::OutOfOrder => write!(f, "{chain} {seq}: twice, or out of order"),
            Problem::Misplaced => {
                write!(f, "{chain} {seq}: its text is of another chain, number or time")
            }
            Problem::Unreadable => write!(f, "{chain} {seq}: it is no record"),
            Problem::Changed => write!(
                f,
                "{chain} {seq}: its hash does not follow: it was changed, or the hash of the record before it"
            ),
            Problem::CheckpointForged => {
                write!(f, "{chain} {seq}: the checkpoint's signature does not fit the chain")
            }
            Problem::CheckpointUnknownKey => write!(
                f,
                "{chain} {seq}: the checkpoint is signed with an AUTH_SECRET that is not configured, and no later one vouches for it"
            ),
            Problem::CheckpointMissing => {
                write!(f, "{chain} {seq}: there should have been a checkpoint before")
            }
            Problem::OtherEnd => {
                write!(f, "{chain} {seq}: not the last record that the signed end is about")
            }
            Problem::OtherStart => {
                write!(f, "{chain} {seq}: does not follow what was deleted in its time")
            }
            Problem::ChainMissing { other } => write!(
                f,
                "{chain} {seq}: names record {} of chain {}, which is not there, or not listed, as it was",
                other.seq, other.chain
            ),
        }
    }
}

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
            (deleted, last) = (head.deleted, head.last);
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
