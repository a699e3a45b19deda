//! Limits of calls (`limits.calls`), for MCP requests and proxied ones alike: the limits in force
//! ([`in_force`]), what is counted by them ([`counters`]), and one request on its way ([`request`],
//! and [`metered`] its body). What a limit is about, and the decision, is
//! `portunus_core::call_limits`; bounds that every person has are in `edge::mcp::shares`, rates of
//! addresses in `edge::throttle`.

mod counters;
mod in_force;
mod metered;
mod request;
#[cfg(test)]
mod tests;

pub use self::{in_force::CallLimits, metered::metered, request::CountedRequest};
