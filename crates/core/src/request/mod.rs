//! What a request is addressed to and carries, before anything is matched with it: [`host`] says
//! which host it names, [`path`] which paths can be read in one way only, [`headers`] which headers
//! may go on to a proxied target. What stands at a path is [`crate::resource`].

pub mod headers;
pub mod host;
pub mod path;

pub use self::{
    headers::{BadHeaderPattern, HeaderPattern},
    host::{Authority, BadHost, agreed_host},
    path::{BadPath, PlainPath},
};
