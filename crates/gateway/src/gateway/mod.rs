//! A gateway ([`lifecycle`]): built from its configuration, one of several on its store if it
//! [`joins`](Gateway::join) them, run until it is told to stop. What a configuration needs is made
//! in [`build`], and anew for each new configuration in [`reload`]; records are opened in
//! [`records`]; the part that makes it one of several is [`node`]. Where signals and files come
//! from is `cli`'s affair.

mod build;
mod lifecycle;
mod node;
mod records;
mod reload;
mod reloadable;
mod removed_clients;

pub use self::{
    build::{ConnectedProvider, resources},
    lifecycle::{Gateway, Orders},
    records::{beside, open_records, open_store},
    reload::{Changes, NewConfiguration, Refused},
};
