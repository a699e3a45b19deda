//! The pool of connections to servers: [`upstreams`] is its interface, [`lifecycle`] the life of a
//! connection in it.

mod counts;
mod lifecycle;
mod limits;
mod options;
mod retire;
mod slot;
mod state;
mod upstreams;

pub use self::{
    counts::ConnectionCounts, options::Options, state::ServerState, upstreams::Upstreams,
};
