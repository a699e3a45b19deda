//! MCP sessions of legacy clients (`Mcp-Session-Id`). What one holds is in [`state`], the table of
//! them in [`table`], the messages that wait for its streams in [`outbox`], the streams themselves
//! in [`resume`], what servers asked its client in [`asks`] and [`questions`], and how it is
//! written down in [`stored`]. A modern client has none, but while it listens for changes
//! (`subscriptions/listen`) that stream is kept as one that cannot be named. Beside them stand what
//! is known of a client for longer than one request: [`capability_sets`], [`task_table`],
//! [`task_watches`].

pub(crate) mod asks;
pub(crate) mod capability_sets;
pub(crate) mod filter;
mod id;
pub(crate) mod level;
pub(crate) mod operation;
pub(crate) mod outbox;
mod questions;
pub(crate) mod requester;
pub(crate) mod resume;
mod state;
mod stored;
pub(crate) mod table;
pub(crate) mod task_table;
pub(crate) mod task_watches;

pub(crate) use id::SessionId;
pub(crate) use state::{Hold, Kind, Session};
pub use table::Totals;

#[cfg(test)]
mod tests;
