//! Several gateways on one store. Any node accepts any request; a user's MCP sessions, their
//! streams and child processes live on one, the owner, and the others forward the user's requests
//! to it ([`dispatch`], [`relay`]). A child process that all users share has an owner too
//! ([`servers`]). [`membership`] finds out which node that is. There is one protocol between nodes:
//! [`sender`] sends a request in an [`envelope`], and [`listener`] takes it in.
//!
//! Signing in, tokens and `proxies` need none of this: what they keep is in the store.

mod address;
mod bound_headers;
mod broken;
mod dispatch;
mod envelope;
pub mod forwarded;
mod listener;
mod live_nodes;
mod membership;
mod ownership;
mod relay;
mod retry;
mod sender;
mod servers;

pub use self::{
    address::toward,
    dispatch::Cluster,
    forwarded::{ForwardedKind, ForwardedRequest},
    listener::{ListenerState, serve as listen},
    membership::{Member, MemberParts, Ownership},
    ownership::LocalOwnership,
    servers::Neighbours,
};
