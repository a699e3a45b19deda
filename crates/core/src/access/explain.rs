//! Why a caller may, or may not, use a thing, for an administrator who has to change it; and who
//! may use it. What is allowed is decided by [`super::judge`] alone.

use super::{
    compile::PolicyFile,
    decide::{Decision, Policy},
    judge::Circumstances,
    rule::{AccessRule, Effect, Mode, Place, What, When, Who},
    schema::{Facts, Thing},
};
use crate::oauth::scopes::Pattern;

/// A decision, and the rules that come near to another one.
#[derive(Clone, Debug, PartialEq)]
pub struct Explanation {
    pub decision: Decision,
    /// What would be decided if everything in shadow were enforced; `None`: nothing is in shadow.
    pub whole: Option<Decision>,
    /// Where no rule allows it: those that allow it to others, or under other conditions.
    pub near: Vec<NearRule>,
}

/// A rule that allows a thing to other callers, or under other conditions.
#[derive(Clone, Debug, PartialEq)]
pub struct NearRule {
    pub name: String,
    pub place: Place,
    /// To whom.
    pub who: Who,
    /// Under which conditions.
    pub when: When,
    /// The caller is one of them: the conditions are not met.
    pub is_of_caller: bool,
}

/// The rules that speak of a thing, for any caller.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Allowing<'a> {
    pub allow: Vec<&'a AccessRule>,
    pub deny: Vec<&'a AccessRule>,
    /// Files that may say something of it too.
    pub files: Vec<&'a PolicyFile>,
}

impl Policy {
    pub fn explain(
        &self,
        facts: &Facts,
        thing: &Thing<'_>,
        now: &Circumstances<'_>,
    ) -> Explanation {
        let decision = self.decide_now(facts, thing, now);
        let whole = self.decide_whole(facts, thing, now);
        let near = if decision == Decision::NotAllowed {
            self.near(facts, thing, Mode::Enforce)
        } else if whole == Some(Decision::NotAllowed) {
            self.near(facts, thing, Mode::Shadow)
        } else {
            Vec::new()
        };
        Explanation { decision, whole, near }
    }

    fn near(&self, facts: &Facts, thing: &Thing<'_>, mode: Mode) -> Vec<NearRule> {
        let near = self.rules().iter().filter(|rule| {
            let counts = mode == Mode::Shadow || rule.mode == Mode::Enforce;
            counts && rule.is_allowing() && rule.speaks_of(facts, thing)
        });
        let near = near.map(|rule| NearRule {
            name: rule.name.clone(),
            place: rule.place.clone(),
            who: rule.who.clone(),
            when: rule.when.clone(),
            is_of_caller: rule.is_about(facts),
        });
        near.collect()
    }

    /// Which rules say who may use this thing?
    pub fn who(&self, thing: &Thing<'_>) -> Allowing<'_> {
        let nobody = Facts::default();
        let (allow, deny) = self
            .rules()
            .iter()
            .filter(|rule| rule.speaks_of(&nobody, thing))
            .partition(|rule| rule.is_allowing());
        Allowing { allow, deny, files: self.files().iter().collect() }
    }
}

impl AccessRule {
    /// Is it about this thing, for any caller, whatever the conditions are?
    fn speaks_of(&self, facts: &Facts, thing: &Thing<'_>) -> bool {
        let alone = self.of_anyone().always();
        let decides = |rules| {
            Policy::new(rules, Vec::new())
                .is_ok_and(|policy| policy.decide(facts, thing).is_allowed())
        };
        match self.effect {
            Effect::Allow => decides(vec![alone]),
            Effect::Deny => {
                let all = Self { effect: Effect::Allow, what: What::default(), ..alone.clone() };
                !decides(vec![all, alone])
            }
        }
    }

    /// Is it about this caller?
    fn is_about(&self, facts: &Facts) -> bool {
        let whole = Self {
            effect: Effect::Allow,
            mode: Mode::Enforce,
            what: What::default(),
            when: When::default(),
            ..self.clone()
        };
        Policy::new(vec![whole], Vec::new())
            .is_ok_and(|whole| whole.decide(facts, &Thing::Proxy("/")).is_allowed())
    }

    /// Without its conditions. One on arguments keeps the rule from being about more than what has
    /// some.
    fn always(mut self) -> Self {
        if self.has_tools() && self.what.is_whole() {
            self.what.tools.extend(Pattern::parse("*"));
        }
        self.when = When::default();
        self
    }
}
