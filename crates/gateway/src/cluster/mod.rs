//! Several gateways on one store. Any of them takes any request; a user's MCP sessions, their streams and child processes live on one, the
//! user's home, and the others pass the user's requests on to it. Which one that is, [`membership`] finds out; [`relay`] sends a request
//! there in an [`envelope`], and [`listener`] takes it in. A child process that everybody shares has a home too ([`servers`]).
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
mod servers;

pub use self::{
    address::toward,
    dispatch::Cluster,
    forwarded::{ForwardedKind, ForwardedRequest},
    listener::{ListenerState, serve as listen},
    membership::{Member, MemberParts, Ownership},
    ownership::Home,
    servers::Neighbours,
};
