//! What stands beside a chain and says how far it has come. It is signed by [`super::key`].

use std::{collections::BTreeMap, fmt::Write as _};

use serde::{Deserialize, Serialize};

use super::position::{ChainId, Position, RecordHash};
use crate::clock::Timestamp;

/// How far a chain has come, and where what is kept of it begins. It stands beside the chain and
/// is written with each append, so that a record that is cut off at either end is missed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChainHead {
    pub chain: ChainId,
    /// The last record that was deleted in its time; 0: none.
    pub deleted: u64,
    /// Its hash, which the first that is kept follows.
    pub deleted_hash: RecordHash,
    /// The newest record; equal to `deleted` if none is kept.
    pub last: u64,
    pub last_hash: RecordHash,
    pub last_at: Timestamp,
    /// Has its writer ended in order?
    pub is_closed: bool,
    /// Through which record other targets than the store have it, by their names.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub sent: BTreeMap<String, u64>,
    /// Which key it is signed with, and the signature.
    pub key: String,
    pub signature: String,
}

impl ChainHead {
    /// What is signed.
    pub(super) fn signed_text(&self) -> String {
        let Self { chain, deleted, deleted_hash, last, last_hash, last_at, is_closed, .. } = self;
        let mut text = format!(
            "portunus/audit/head/1 {chain} {deleted} {deleted_hash} {last} {last_hash} {} {is_closed}",
            last_at.as_millis()
        );
        for (target, through) in &self.sent {
            // Writing to a string cannot fail.
            let _ = write!(text, " {target}={through}");
        }
        text
    }

    pub fn position(&self) -> Position {
        Position { chain: self.chain.clone(), seq: self.last, hash: self.last_hash }
    }

    /// The same, to be signed, after the records up to `through` are deleted, whose hash is given.
    #[must_use]
    pub fn without(&self, through: u64, hash: RecordHash) -> Self {
        Self { deleted: through, deleted_hash: hash, ..self.clone() }
    }
}

/// What a checkpoint signs.
pub(super) fn checkpoint_text(chain: &ChainId, through: u64, hash: &RecordHash) -> String {
    format!("portunus/audit/checkpoint/1 {chain} {through} {hash}")
}
