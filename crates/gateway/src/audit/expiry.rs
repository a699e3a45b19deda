//! What is older than `audit.keep` is deleted: in turns, of this chain and of those of others, and
//! never on the word of a clock that was just set ([`Retention`]).

use std::time::Duration;

use portunus_core::{
    Timestamp,
    audit::{ChainHead, Entry, Event, Signature},
    store::{StoreError, StoredChain},
};
use tokio::time::Instant;

use super::chain::{ChainEnd, own};

/// Records that are looked at, and deleted, in one step.
const STEP: usize = 500;
/// A clock that is off by more was set.
const SET: Duration = Duration::from_secs(60 * 60);
/// A gateway that was off longer may have a clock that is wrong.
const OFF: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// So long nothing is deleted after a clock was set: it can be set right meanwhile.
const HELD: Duration = Duration::from_secs(24 * 60 * 60);

/// Decides what is old. Compares the clock with one that cannot be set.
pub(super) struct Retention {
    keep: Duration,
    seen: (Timestamp, Instant),
    held_until: Option<Instant>,
}

/// What is to be done now.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// What is older goes.
    Delete(Timestamp),
    /// Nothing goes: the clock was set a while ago.
    Hold,
    /// Nothing goes: the clock was set by so many seconds since it was last looked at.
    ClockChanged(i64),
}

impl Retention {
    /// `newest`: when the newest record of all was written before this run.
    pub(super) fn new(
        keep: Duration,
        newest: Option<Timestamp>,
        now: (Timestamp, Instant),
    ) -> Self {
        // Time without a gateway is as good as none, up to a point.
        let seen = match newest {
            Some(newest) if now.0.since(newest) > OFF || newest.since(now.0) > SET => newest,
            _ => now.0,
        };
        Self { keep, seen: (seen, now.1), held_until: None }
    }

    pub(super) fn judge(&mut self, now: Timestamp, instant: Instant) -> Verdict {
        let (seen, at) = std::mem::replace(&mut self.seen, (now, instant));
        let expected = seen + instant.saturating_duration_since(at);
        if now.since(expected) > SET || expected.since(now) > SET {
            self.held_until = Some(instant + HELD);
            return Verdict::ClockChanged(now.as_secs().saturating_sub(expected.as_secs()));
        }
        if self.held_until.is_some_and(|until| instant < until) {
            return Verdict::Hold;
        }
        self.held_until = None;
        Verdict::Delete(now - self.keep)
    }
}

/// What a turn of [`ChainEnd::expire`] has done.
pub(super) struct Expired {
    /// How far records were deleted, to be recorded also if a later step failed.
    pub(super) told: Vec<Entry>,
    /// Is there more to do?
    pub(super) result: Result<bool, StoreError>,
}

impl ChainEnd {
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
            if is_own && !self.is_settled() {
                continue;
            }
            let head = if is_own { self.own_head(head) } else { head };
            let Some(mut head) =
                head.filter(|head| self.writing.keys.check_head(head) == Signature::Good)
            else {
                continue;
            };
            // A deletion whose answer was lost is told when it is seen to have been made.
            let before = match self.unsure.take_if(|(of, _)| *of == id) {
                Some((_, through)) if through <= head.deleted => through - 1,
                _ => head.deleted,
            };
            let ended = self.expire_chain(&mut head, is_own, (older_than, now), &mut steps).await;
            if head.deleted > before {
                told.push(own(now, Event::Expired { of: id, through: head.deleted }));
            }
            if ended? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// As it was listed, if no more than its start was deleted meanwhile.
    fn own_head(&mut self, listed: Option<ChainHead>) -> Option<ChainHead> {
        if let Some(head) = listed.filter(|head| self.is_where_it_was(head)) {
            self.go_on_from(head);
        }
        self.stored.clone()
    }

    /// Of one chain, until nothing is old or no step is left: then it says so.
    async fn expire_chain(
        &mut self,
        head: &mut ChainHead,
        is_own: bool,
        times: (Timestamp, Timestamp),
        steps: &mut usize,
    ) -> Result<bool, StoreError> {
        while let Some(after) = self.next_step(head, times).await? {
            let Some(left) = steps.checked_sub(1) else { return Ok(true) };
            *steps = left;
            match self.writing.store.delete_records(head, &after).await {
                // Its own gateway writes it just now.
                Err(StoreError::Conflict) => break,
                Err(error) => {
                    self.unsure = Some((after.chain.clone(), after.deleted));
                    return Err(error);
                }
                Ok(()) => *head = after,
            }
            if is_own {
                self.go_on_from(head.clone());
            }
        }
        Ok(false)
    }

    /// The head after the next records that are old are deleted. What stands beside a record's text
    /// is not signed: its text says when it was, and the hashes say that it was written so.
    async fn next_step(
        &mut self,
        head: &ChainHead,
        (older_than, now): (Timestamp, Timestamp),
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
                let why = "one is not as it was written (`portunus audit verify` says more)";
                self.warn(head, seq, why);
                break;
            };
            if read.at >= older_than {
                if read.at > now + SET {
                    let why = "one was written when the clock was ahead: it and what follows is kept until its time is over";
                    self.warn(head, seq, why);
                }
                break;
            }
            (through, hash) = (seq, follows);
        }
        Ok((through > head.deleted).then(|| self.writing.keys.sign(head.without(through, hash))))
    }

    fn warn(&mut self, head: &ChainHead, seq: u64, why: &str) {
        if !std::mem::replace(&mut self.has_warned, true) {
            tracing::warn!(chain = head.chain.as_str(), seq, "old audit records are kept: {why}");
        }
    }
}
