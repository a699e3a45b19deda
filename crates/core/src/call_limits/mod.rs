//! Limits of calls (`limits.calls` of `config.yaml`): how many requests, at which rate, and how
//! many bytes each person, client, server or tool may have. `rule` has a limit and what it is
//! about, `quota` how much may come in a time, `counter` what was counted and the decision over it.
//! Time is an argument. Where counters are kept, and when they are asked, is the gateway's part.

mod counter;
mod quota;
mod rule;
#[cfg(test)]
mod tests;

pub use self::{
    counter::{Counter, Exceeded, Refusal},
    quota::{Level, Moment, Quota},
    rule::{CallLimit, Part, Target},
};
