//! Access rules in words, for commands and for the log of a start.

use portunus_core::{
    access::{Effect, Policy, When},
    settings::quantity,
};

/// What is so without access rules.
pub(super) const OPEN: &str =
    "every person who signs in may use every server: there are no access rules (`access`)";

/// Says in the log of a start who may use what.
pub(super) fn tell(policy: &Policy) {
    if policy.has_shadow() {
        tracing::info!(
            "some access rules are in shadow: what they would refuse is in the audit trail (portunus access report)"
        );
    }
    if policy.is_empty() {
        tracing::info!("{OPEN}");
    } else if policy.is_open() {
        tracing::warn!(
            "all access rules are in shadow: every person who signs in may use every server"
        );
    } else {
        tracing::info!(
            rules = policy.rules().len(),
            policy_files = policy.files().len(),
            "access rules decide who may use what; what none allows is denied"
        );
    }
}

/// The conditions of a rule, in words; nothing for none.
pub(super) fn conditions(when: &When, effect: Effect) -> String {
    let mut parts: Vec<String> = Vec::new();
    if !when.arguments.is_empty() {
        let arguments: Vec<_> = when.arguments.iter().map(ToString::to_string).collect();
        parts.push(format!("with the arguments {}", arguments.join(", ")));
    }
    if let Some(limit) = when.signed_in {
        let limit = quantity::show_duration(limit);
        parts.push(match effect {
            Effect::Allow => format!("within {limit} after a sign-in"),
            Effect::Deny => format!("more than {limit} after a sign-in, or without one"),
        });
    }
    parts.join(", ")
}
