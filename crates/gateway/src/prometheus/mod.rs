//! The page that Prometheus reads, on an address of its own (docs/metrics.md): what
//! [`crate::metrics`] has counted, and what is looked up when the page is read ([`sources`];
//! [`process`] is the process itself). [`page`] writes it, with
//! [`audit`]; [`listener`] answers.

mod audit;
mod listener;
mod page;
mod process;
mod sources;

pub use self::{listener::serve, sources::Sources};
