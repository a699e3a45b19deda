//! The audit trail: what is recorded, and how it is told afterwards that nothing of it was changed.
//! Everything here is a pure function; who writes is the gateway's `audit`, where it is kept is the
//! port [`crate::store::AuditStore`].
//!
//! - [`event`]: the closed set of what is recorded, and [`entry`]: who did it, from where, when.
//! - `text`: the exact text of a record. [`chain`]: records in order, each with a hash over the one
//!   before it ([`position`]); [`head`] and [`key`]: how far a chain has come, signed.
//! - [`verify`]: what is wrong with a chain, by position ([`finding`]); [`filter`] and [`merge`]:
//!   reading.

pub mod chain;
pub mod entry;
pub mod event;
pub mod filter;
pub mod finding;
pub mod head;
pub mod key;
pub mod merge;
pub mod position;
mod text;
pub mod verify;

#[cfg(test)]
mod tests;

pub use self::{
    chain::{CHECKPOINT_EVERY, Chain, ChainedRecord},
    entry::{AuditRecord, Entry, Origin, Person, shortened},
    event::{Call, CallKind, CallOutcome, Event, RefusalReason},
    filter::AuditFilter,
    finding::{Finding, Problem},
    head::ChainHead,
    key::{AuditKeys, Signature},
    merge::merge_by_time,
    position::{ChainId, Position, RecordHash},
    verify::Verifier,
};
