//! Why a caller may, or may not, use a thing, for an administrator who has to change it. What is
//! allowed is decided by [`super::decide`] alone.

use super::{
    decide::{Decision, Policy},
    rule::{AccessRule, Place, Who},
    schema::{Facts, Thing},
};

/// A decision, and the rules that come near to another one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    pub decision: Decision,
    /// Where no rule allows it: those that allow it to others.
    pub near: Vec<NearRule>,
}

/// A rule that allows a thing to other callers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NearRule {
    pub name: String,
    pub place: Place,
    /// To whom.
    pub who: Who,
}

impl Policy {
    pub fn explain(&self, facts: &Facts, thing: &Thing<'_>) -> Explanation {
        let decision = self.decide(facts, thing);
        let near = match decision {
            Decision::NotAllowed => self.near(facts, thing),
            _ => Vec::new(),
        };
        Explanation { decision, near }
    }

    fn near(&self, facts: &Facts, thing: &Thing<'_>) -> Vec<NearRule> {
        let allows_others = |rule: &&AccessRule| {
            rule.is_allowing()
                && Self::new(vec![rule.of_anyone()], Vec::new())
                    .is_ok_and(|alone| alone.decide(facts, thing).is_allowed())
        };
        let near = self.rules().iter().filter(allows_others).map(|rule| NearRule {
            name: rule.name.clone(),
            place: rule.place.clone(),
            who: rule.who.clone(),
        });
        near.collect()
    }
}
