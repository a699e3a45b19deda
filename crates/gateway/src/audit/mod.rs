//! The audit trail of this gateway. Whatever happens is told to the [`log`], which only queues it;
//! one task ([`writer`]) makes records of it, in a chain ([`chain`]), and gives them to the store
//! and, if it is configured, to a [`sink`]. What a request tells goes through [`request`], its
//! calls through [`calls`]; commands beside the gateway write a chain of their own ([`command`]).
//! The rules are `portunus_core::audit`'s.

mod calls;
mod chain;
pub mod command;
mod keys;
mod log;
mod request;
mod sink;
#[cfg(test)]
mod tests;
mod writer;

pub use self::{
    calls::CallWatch,
    keys::audit_keys,
    log::{AuditLog, Full, QueueEnd},
    request::{CallNames, PendingRefusal, RequestAudit},
    writer::{AuditWriter, WriterParts},
};
