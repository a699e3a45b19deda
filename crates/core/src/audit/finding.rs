//! What can be wrong with a chain, as [`super::verify`] finds it.

use std::fmt;

use super::position::{ChainId, Position};

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
