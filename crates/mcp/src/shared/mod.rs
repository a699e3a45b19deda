//! Children that all users share, among several nodes (docs/decisions/0036): each runs on one of
//! them, its owner. [`SharedServers`] stands before the pool and finds out where; a server
//! elsewhere is a [`peer`] here. What the owner does for other nodes is [`host`]'s, over [`local`]
//! connections; what they say to one another stands in [`messages`] and travels in [`frames`]. How
//! it gets there, and who the owner is, the crate does not know: that is the port [`Owners`].

mod frames;
mod host;
mod local;
mod messages;
mod owners;
mod peer;
mod servers;

pub use owners::{BrokenOff, OwnerUnknown, Owners, Pieces, Undelivered};
pub use servers::SharedServers;
