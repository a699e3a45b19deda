//! The audit trail of this gateway. Whatever happens is told to the [`log`], which only queues it;
//! one task ([`writer`]) makes records of it, in a chain ([`chain`], [`expiry`]), and gives them to
//! the store. From there [`targets`] hand them on to a file, a syslog receiver, a collector. What a
//! request tells goes through [`request`], its calls through [`calls`]; commands beside the gateway
//! write a chain of their own ([`command`]).
//! The rules are `portunus_core::audit`'s.

mod calls;
mod chain;
pub mod command;
mod expiry;
mod keys;
mod log;
mod request;
mod targets;
#[cfg(test)]
mod tests;
mod writer;

pub use self::{
    calls::CallWatch,
    keys::audit_keys,
    log::{AuditCounts, AuditLog, Full, QueueEnd},
    request::{CallNames, PendingRefusal, RequestAudit},
    targets::TargetCounts,
    writer::{AuditWriter, WriterParts},
};
