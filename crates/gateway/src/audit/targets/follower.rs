//! One target and the chain: reads what the store has and the target has not, and hands it on,
//! again and again if need be. What is given up is counted and told.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use portunus_core::{
    Entropy as _,
    audit::{ChainId, ChainedRecord},
    store::{AuditStore, StoreError},
};
use tokio::{sync::watch, time::Instant};

use super::{
    state::{Ends, Part, TargetState},
    target::{NotTaken, Taken, Target},
    told::Told,
};
use crate::os::OsEntropy;

/// Records that are handed on at once, of some 3 KiB at most.
const PORTION: usize = 256;
/// How long a target is left alone after it failed, and at most.
const PAUSE: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(60);
/// The same, when the target says how long.
const LONGEST_TOLD: Duration = Duration::from_secs(60 * 60);

pub(super) struct Follower {
    pub(super) state: Arc<TargetState>,
    pub(super) ends: watch::Receiver<Ends>,
    pub(super) store: Arc<dyn AuditStore>,
    pub(super) target: Box<dyn Target>,
    pub(super) told: Told,
}

impl Follower {
    pub(super) async fn run(mut self) {
        if let Some((chain, _)) = self.state.place()
            && let Some(last) = self.target.find_last(&chain).await
            && self.ends.borrow().parts.iter().any(|part| part.chain == chain && part.last >= last)
        {
            self.state.come_to(&chain, last);
        }
        loop {
            let (part, is_over) = {
                let ends = self.ends.borrow_and_update();
                (self.state.place().and_then(|place| next_part(&ends.parts, place)), ends.is_over)
            };
            match part {
                Some(part) => {
                    if !self.hand_on(part).await {
                        return;
                    }
                }
                None if is_over => return self.target.finish().await,
                None => {
                    if self.ends.changed().await.is_err() {
                        return;
                    }
                }
            }
        }
    }

    /// A portion of it. False: there is no more time.
    async fn hand_on(&mut self, (chain, through, last): (ChainId, u64, u64)) -> bool {
        let found = self.store.read_records(&chain, through + 1, PORTION).await;
        let mut records = match found {
            Ok(records) => records,
            Err(StoreError::Corrupt(error)) => {
                self.state.lose(last - through, &error);
                self.state.come_to(&chain, last);
                return true;
            }
            Err(error) => {
                tracing::warn!(target_name = self.state.name, %error, "audit records cannot be read to be sent there");
                return self.pause(PAUSE).await;
            }
        };
        // One under a number that it has already was put there by hand.
        let mut before = through;
        records.retain(|record| {
            let is_next = record.seq > before && record.seq <= last;
            before = if is_next { record.seq } else { before };
            is_next
        });
        let (first, end) = match (records.first(), records.last()) {
            (Some(first), Some(end)) => (first.seq, end.seq),
            _ => (last + 1, last),
        };
        // Numbers that are not there, between the others too.
        let missing = (end - through) - records.len() as u64;
        if missing > 0 {
            let why = if first > through + 1 { "deleted before they were sent" } else { "missing" };
            self.state.lose(missing, why);
        }
        if !records.is_empty() && !self.send(&records).await {
            return false;
        }
        self.state.come_to(&chain, end);
        true
    }

    /// Until the target has taken them.
    async fn send(&mut self, mut records: &[ChainedRecord]) -> bool {
        let (mut wait, mut is_failing) = (PAUSE, false);
        // bounded: a target takes one at least, or is waited for.
        while let Some(first) = records.first() {
            match self.target.send(records).await {
                Ok(Taken { count, refused, why }) => {
                    let (taken, left) = records.split_at(count.clamp(1, records.len()));
                    let (count, last) = (taken.len() as u64, taken.last().unwrap_or(first));
                    self.state.sent.fetch_add(count.saturating_sub(refused), Ordering::Relaxed);
                    if refused > 0 {
                        self.state.lose(refused.min(count), &why);
                    }
                    self.state.come_to(&last.chain, last.seq);
                    (records, wait) = (left, PAUSE);
                    if std::mem::take(&mut is_failing) {
                        tracing::info!(
                            target_name = self.state.name,
                            "audit records are sent there again"
                        );
                    }
                }
                Err(NotTaken { why, after }) => {
                    self.state.failures.fetch_add(1, Ordering::Relaxed);
                    if self.told.is_due(&why, Instant::now()) {
                        is_failing = true;
                        tracing::error!(
                            target_name = self.state.name,
                            why,
                            "audit records cannot be sent there: they wait in the store"
                        );
                    }
                    let pause = after.map_or_else(|| shaken(wait), |told| told.min(LONGEST_TOLD));
                    wait = (2 * wait).min(LONGEST);
                    if !self.pause(pause).await {
                        return false;
                    }
                }
            }
        }
        true
    }

    /// False: nothing follows, and there is no more time.
    async fn pause(&mut self, pause: Duration) -> bool {
        tokio::select! {
            () = tokio::time::sleep(pause) => true,
            ended = self.ends.wait_for(|ends| ends.is_over) => {
                drop(ended);
                false
            }
        }
    }
}

/// What comes next for a target at this place: the rest of the chain that it is in, or the chain
/// after that.
fn next_part(parts: &[Part], (chain, through): (ChainId, u64)) -> Option<(ChainId, u64, u64)> {
    let at = parts.iter().position(|part| part.chain == chain);
    let own = at.and_then(|at| parts.get(at)).filter(|part| part.last > through);
    if let Some(part) = own {
        return Some((chain, through, part.last));
    }
    let mut later = parts.iter().skip(at.map_or(0, |at| at + 1));
    later.find(|part| part.last > 0).map(|part| (part.chain.clone(), 0, part.last))
}

/// Between half of it and all of it: gateways that failed at once do not come again at once.
fn shaken(wait: Duration) -> Duration {
    let mut byte = [0];
    OsEntropy.fill(&mut byte);
    wait / 2 + wait / 2 * u32::from(byte[0]) / 255
}
