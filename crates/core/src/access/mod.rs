//! Who may use what: access rules, compiled to Cedar policies and decided by Cedar. What a token's
//! scopes let its holder use is a question of its own ([`crate::oauth::scopes`]); a request needs
//! both.
//!
//! `rule` has a rule as it is written, `hints` what a server says of a tool, `condition` and
//! `arguments` what a rule may ask of a call's arguments; `schema` the words that policies are
//! written in, `compile` makes policies of rules and reads policy files, `decide` evaluates them,
//! `needs` is what must be known of a call, `judge` decides, `possible` says what a list may show,
//! `explain` says why. Reading rules from `config.yaml`, and remembering decisions, is the
//! gateway's part.

mod arguments;
mod compile;
mod condition;
mod decide;
mod explain;
mod hints;
mod judge;
mod needs;
mod possible;
mod rule;
mod schema;
mod spelling;
#[cfg(test)]
mod tests;

pub use self::{
    arguments::Arguments,
    compile::{BadPolicy, PolicyFile},
    condition::{ArgumentCondition, ArgumentValue, Number},
    decide::{Decision, NO_RULE, Policy, Reason},
    explain::{Allowing, Explanation, NearRule},
    hints::ToolHints,
    judge::{CalledWith, Circumstances, Judgement, Unmet},
    rule::{AccessRule, Effect, Mode, Place, What, When, Who},
    schema::{Facts, SCHEMA, Thing},
};
