//! The port through which the hub asks whether a server's tools are those that people trust (threat
//! 45). What answers it, and where pins are kept, is the gateway's business; what follows from the
//! answer is in [`crate::lists`]'s `quarantine`.

use std::fmt;

use async_trait::async_trait;
use portunus_core::ids::ServerName;

use crate::wire::Payload;

/// May a tool, as its server describes it now, be shown and called?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trust {
    Pass,
    /// In quarantine: left out of lists, and not called.
    Hold,
}

/// What is remembered of servers' tools.
#[async_trait]
pub trait ToolPins: Send + Sync + fmt::Debug {
    /// Are tools of this server ever held? Where not, calls need no look at its list.
    fn holds(&self, server: &ServerName) -> bool;

    /// One answer for each tool object, in order. What is seen for the first time is remembered. It
    /// may wait for a store, but not for each question.
    async fn judge(&self, server: &ServerName, tools: &[Payload]) -> Vec<Trust>;
}

/// Nothing is remembered, every tool passes.
#[derive(Clone, Copy, Debug)]
pub struct NoPins;

#[async_trait]
impl ToolPins for NoPins {
    fn holds(&self, _: &ServerName) -> bool {
        false
    }

    async fn judge(&self, _: &ServerName, tools: &[Payload]) -> Vec<Trust> {
        vec![Trust::Pass; tools.len()]
    }
}
