//! The pool of connections to servers: [`upstreams`] is its interface, [`lifecycle`] the life of a
//! connection in it.

mod lifecycle;
mod limits;
mod options;
mod retire;
mod slot;
mod upstreams;

pub use self::{options::Options, upstreams::Upstreams};
