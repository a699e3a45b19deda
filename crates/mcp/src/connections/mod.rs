//! Connections to servers as the hub uses them: getting one and listening to it ([`connect`]),
//! carrying what it says to the sessions that it concerns ([`delivery`]), telling it what they want
//! to hear ([`levels`]), and asking clients what it wants to know outside of calls ([`clients`]).
//! How a connection works is [`crate::upstream`]'s.

mod clients;
mod connect;
pub(crate) mod delivery;
pub(crate) mod levels;

pub use clients::Clients;
pub(crate) use connect::Connections;
