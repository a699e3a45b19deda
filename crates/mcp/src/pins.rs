//! The port through which the hub asks whether what a server describes is what people trust (threat
//! 45). What answers it, and where pins are kept, is the gateway's business; what follows from the
//! answer is in [`crate::lists`]'s `quarantine`, and for instructions in `calls::instructions`.

use std::fmt;

use async_trait::async_trait;
use portunus_core::{ids::ServerName, pins::PinKind};

use crate::wire::Payload;

/// May something, as its server describes it now, be shown and used?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trust {
    Pass,
    /// In quarantine: left out, and not called.
    Hold,
}

/// What is remembered of what servers describe.
#[async_trait]
pub trait ItemPins: Send + Sync + fmt::Debug {
    /// Is anything of this server ever held? Where not, calls need no look at its lists.
    fn holds(&self, server: &ServerName) -> bool;

    /// One answer for each object, all of one kind, in order. What is seen for the first time is
    /// remembered. It may wait for a store, but not for each question.
    async fn judge(&self, server: &ServerName, kind: PinKind, items: &[Payload]) -> Vec<Trust>;
}

/// Nothing is remembered, everything passes.
#[derive(Clone, Copy, Debug)]
pub struct NoPins;

#[async_trait]
impl ItemPins for NoPins {
    fn holds(&self, _: &ServerName) -> bool {
        false
    }

    async fn judge(&self, _: &ServerName, _: PinKind, items: &[Payload]) -> Vec<Trust> {
        vec![Trust::Pass; items.len()]
    }
}
