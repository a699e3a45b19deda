//! Who may use what: access rules, compiled to Cedar policies and decided by Cedar. What a token's
//! scopes let its holder use is a question of its own ([`crate::oauth::scopes`]); a request needs
//! both.
//!
//! `rule` has a rule as it is written, `schema` the words that policies are written in, `compile`
//! makes policies of rules and reads policy files, `decide` judges, `explain` says why. Reading
//! rules from `config.yaml`, and remembering decisions, is the gateway's part.

mod compile;
mod decide;
mod explain;
mod rule;
mod schema;
mod spelling;
#[cfg(test)]
mod tests;

pub use self::{
    compile::{BadPolicy, PolicyFile},
    decide::{Decision, Policy, Reason},
    explain::{Explanation, NearRule},
    rule::{AccessRule, Effect, Place, What, Who},
    schema::{Facts, SCHEMA, Thing},
};
