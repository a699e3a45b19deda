//! The guarded reverse proxy for `proxies` of `config.yaml`: strips the pattern, forwards the rest
//! byte for byte, streams both ways ([`routes`]). Paths are rewritten in [`path`], headers pass
//! through [`headers`]; the one event that names an address is [`endpoint`]'s. Who may call is
//! decided before.

mod caller;
mod endpoint;
mod headers;
mod path;
mod refusal;
mod routes;
mod timed_body;
mod trailers;

pub use self::{
    caller::Caller,
    routes::{ProxyLimits, ProxyRoutes},
};
