//! The pool of connections to servers: [`upstreams`] is what its users see, [`lifecycle`] what becomes of a connection in it.

mod lifecycle;
mod limits;
mod options;
mod retire;
mod slot;
mod upstreams;

pub use self::{options::Options, upstreams::Upstreams};
