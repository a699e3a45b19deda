//! What is printed of a decision, for people and for programs.

use std::fmt::Write as _;

use portunus_core::access::{Decision, Effect, Explanation, NearRule, Reason};
use serde_json::{Value, json};

use super::{
    super::rules_told::{OPEN, conditions},
    question::{Question, Wanted, quoted},
};

/// What to change for another decision.
fn advice(
    policy_decision: &Decision,
    near: &[NearRule],
    question: &Question,
    wanted: &Wanted,
) -> Option<String> {
    match policy_decision {
        Decision::Open | Decision::Allowed(_) => None,
        Decision::Denied(_) => {
            Some("change the rule that denies it: it goes before all that allow".to_owned())
        }
        Decision::NotAllowed if near.iter().any(|rule| rule.is_of_caller) => {
            Some("it is one of those: what else the rule asks for is not met".to_owned())
        }
        Decision::NotAllowed => {
            let who = match question.groups.first() {
                Some(group) => format!("groups: [{}]", quoted(group)),
                None => format!("people: [{}]", quoted(&question.user)),
            };
            Some(format!("add to `access`: {{who: {{{who}}}, {}}}", wanted.keys()))
        }
        Decision::Failed(_) => Some("mend the policy".to_owned()),
    }
}

pub(super) fn told(
    explanation: &Explanation,
    question: &Question,
    wanted: &Wanted,
    note: Option<&str>,
) -> String {
    let Explanation { decision, whole, near } = explanation;
    let (answer, may) = if decision.is_allowed() { ("yes", "may") } else { ("no", "may not") };
    let decided = match decision {
        Decision::Open => OPEN.to_owned(),
        decided => decided.to_string(),
    };
    let mut text =
        format!("{answer}: {} {may} use {}\n  {decided}\n", question.user, wanted.in_words());
    match whole {
        Some(whole) if decision.is_allowed() && !whole.is_allowed() => {
            let _ = writeln!(text, "  in shadow: it would be refused, {whole}");
        }
        Some(whole) if !decision.is_allowed() && whole.is_allowed() => {
            let _ = writeln!(text, "  in shadow: it would be {whole}");
        }
        _ => {}
    }
    for rule in near {
        let when = conditions(&rule.when, Effect::Allow);
        let when = if when.is_empty() { when } else { format!(", {when}") };
        let _ =
            writeln!(text, "  `{}` ({}) allows it to {}{when}", rule.name, rule.place, rule.who);
    }
    if let Some(note) = note {
        let _ = writeln!(text, "  {note}");
    }
    if let Some(advice) = advice(decision, near, question, wanted) {
        let _ = writeln!(text, "  {advice}");
    }
    text
}

pub(super) fn json_of(explanation: &Explanation, question: &Question, wanted: &Wanted) -> Value {
    let Explanation { decision, whole, near } = explanation;
    let (word, by) = parts(decision);
    let shadow = whole.as_ref().map(|whole| {
        let (word, by) = parts(whole);
        json!({"allowed": whole.is_allowed(), "decision": word, "rules": reasons(by)})
    });
    let near_ones = near.iter().map(|rule| {
        json!({"name": rule.name, "file": rule.place.file, "line": rule.place.line,
            "who": rule.who.to_string(), "when": conditions(&rule.when, Effect::Allow)})
    });
    json!({
        "allowed": decision.is_allowed(),
        "decision": word,
        "rules": reasons(by),
        "shadow": shadow,
        "near": near_ones.collect::<Vec<_>>(),
        "advice": advice(decision, near, question, wanted),
    })
}

fn parts(decision: &Decision) -> (&'static str, &[Reason]) {
    match decision {
        Decision::Open => ("open", &[]),
        Decision::Allowed(by) => ("allowed", by),
        Decision::Denied(by) => ("denied", by),
        Decision::NotAllowed => ("not_allowed", &[]),
        Decision::Failed(by) => ("failed", by),
    }
}

fn reasons(by: &[Reason]) -> Vec<Value> {
    let one = |reason: &Reason| json!({"name": reason.name, "file": reason.place.file, "line": reason.place.line});
    by.iter().map(one).collect()
}
