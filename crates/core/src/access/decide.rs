//! The policy, and one evaluation of it by Cedar. What evaluations come to, with what is known only
//! at a call, is `judge`'s; the policies come from [`super::compile`], and what is said of
//! a decision from [`super::explain`].

use std::{
    collections::HashMap,
    fmt,
    sync::atomic::{AtomicU64, Ordering},
};

use cedar_policy::{
    AuthorizationError, Authorizer, Context, Entities, EntityUid, PolicySet, Request, Schema,
};

use super::{
    compile::{self, BadPolicy, Compiled, PolicyFile},
    needs::Needs,
    rule::{AccessRule, Effect, Mode, Place},
    schema::{self, Facts, Given, Thing},
};
use crate::admission::{AccountName, Unread};

/// All rules and policies together. Without any that is enforced, every caller may use everything;
/// with any, only what one allows and none denies.
#[derive(Default)]
pub struct Policy {
    rules: Vec<AccessRule>,
    files: Vec<PolicyFile>,
    pub(super) enforced: Option<InForce>,
    /// Together with what is in shadow, if anything is.
    pub(super) whole: Option<InForce>,
    pub(super) needs: Needs,
    is_in_shadow: bool,
}

pub(super) struct InForce {
    policies: PolicySet,
    numbers: HashMap<String, u32>,
    /// By the number of a policy.
    pub(super) origins: Vec<Origin>,
    /// The actions, and how they belong together.
    actions: Entities,
    /// How often it was evaluated.
    runs: AtomicU64,
}

/// Where a policy is from.
pub(super) struct Origin {
    pub(super) reason: Reason,
    /// The number of the rule, if it depends on what is known only at a call.
    pub(super) conditional: Option<u32>,
}

/// One evaluation: the policies that decided, by their numbers.
pub(super) struct Ran {
    pub(super) is_allowed: bool,
    pub(super) has_failed: bool,
    pub(super) by: Vec<u32>,
}

/// What is said where no rule allows it.
pub const NO_RULE: &str = "no rule allows it";

/// A rule or policy that decided.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reason {
    pub name: String,
    pub place: Place,
}

/// What was decided, and by what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// There are no rules.
    Open,
    Allowed(Vec<Reason>),
    /// Rules deny it.
    Denied(Vec<Reason>),
    /// No rule allows it.
    NotAllowed,
    /// A policy could not be evaluated.
    Failed(Vec<Reason>),
}

impl Decision {
    pub const fn is_allowed(&self) -> bool {
        matches!(self, Self::Open | Self::Allowed(_))
    }
}

impl Policy {
    /// Reads policy files and compiles rules: all that is wrong, or the policy.
    pub fn new(rules: Vec<AccessRule>, files: Vec<PolicyFile>) -> Result<Self, Vec<BadPolicy>> {
        if rules.is_empty() && files.is_empty() {
            return Ok(Self::default());
        }
        let broken = |problem: String| {
            vec![BadPolicy { place: Place { file: "schema".to_owned(), line: 1 }, problem }]
        };
        let schema = schema::schema().ok_or_else(|| broken("it cannot be read".to_owned()))?;
        let all = compile_all(&rules, &files, &schema)?;
        let is_shadow = |one: &Compiled| one.mode == Mode::Shadow;
        let in_force = |policies: &mut dyn Iterator<Item = &Compiled>| {
            let policies: Vec<_> = policies.collect();
            let some = !policies.is_empty();
            some.then(|| InForce::of(&policies, &schema)).transpose().map_err(broken)
        };
        let whole = if all.iter().any(is_shadow) { in_force(&mut all.iter())? } else { None };
        let enforced = in_force(&mut all.iter().filter(|one| !is_shadow(one)))?;
        let needs = Needs::of(&rules, &files);
        Ok(Self { rules, files, enforced, whole, needs, is_in_shadow: false })
    }

    /// The same, said to be in shadow as a whole: that nothing is enforced is meant.
    #[must_use]
    pub fn in_shadow(self) -> Self {
        Self { is_in_shadow: true, ..self }
    }

    pub const fn is_in_shadow(&self) -> bool {
        self.is_in_shadow
    }

    /// May every caller use everything?
    pub const fn is_open(&self) -> bool {
        self.enforced.is_none()
    }

    /// Is there nothing at all, enforced or in shadow?
    pub const fn is_empty(&self) -> bool {
        self.enforced.is_none() && self.whole.is_none()
    }

    /// Is anything in shadow?
    pub const fn has_shadow(&self) -> bool {
        self.whole.is_some()
    }

    /// Can it matter to a decision what a server says of its tool?
    pub const fn asks_hints(&self) -> bool {
        self.needs.by_hints
    }

    /// Can it matter to a decision when the person signed in?
    pub const fn asks_sign_in(&self) -> bool {
        self.needs.by_sign_in
    }

    /// Can it matter to a decision with which arguments something is called?
    pub const fn asks_arguments(&self) -> bool {
        self.needs.ask_arguments()
    }

    /// Could something that was not read of a person's account keep a rule from denying?
    pub fn may_deny_by(&self, unread: Unread) -> bool {
        let by_rule = |rule: &AccessRule| {
            let by_email = |person: &AccountName| matches!(person, AccountName::Email(_));
            rule.mode == Mode::Enforce
                && rule.effect == Effect::Deny
                && ((unread.groups && !rule.who.groups.is_empty())
                    || (unread.email && rule.who.people.iter().any(by_email)))
        };
        // What a policy denies by is not looked into.
        let by_file = |file: &PolicyFile| file.text.contains("forbid");
        (unread.groups || unread.email)
            && (self.rules.iter().any(by_rule) || self.files.iter().any(by_file))
    }

    pub fn rules(&self) -> &[AccessRule] {
        &self.rules
    }

    pub fn files(&self) -> &[PolicyFile] {
        &self.files
    }

    /// How often policies were evaluated.
    pub fn evaluations(&self) -> u64 {
        let of =
            |one: &Option<InForce>| one.as_ref().map_or(0, |one| one.runs.load(Ordering::Relaxed));
        of(&self.enforced) + of(&self.whole)
    }
}

fn compile_all(
    rules: &[AccessRule],
    files: &[PolicyFile],
    schema: &Schema,
) -> Result<Vec<Compiled>, Vec<BadPolicy>> {
    let (mut all, mut wrong) = (Vec::new(), Vec::new());
    for (number, rule) in (0..).zip(rules) {
        match compile::of_rule(number, rule) {
            Ok(compiled) => all.extend(compiled),
            Err(bad) => wrong.push(bad),
        }
    }
    for file in files {
        match compile::of_file(file, schema) {
            Ok(compiled) => all.extend(compiled),
            Err(bad) => wrong.extend(bad),
        }
    }
    if wrong.is_empty() { Ok(all) } else { Err(wrong) }
}

impl InForce {
    fn of(all: &[&Compiled], schema: &Schema) -> Result<Self, String> {
        let origins = all.iter().map(|one| Origin {
            reason: Reason { name: one.name.clone(), place: one.place.clone() },
            conditional: one.conditional,
        });
        let numbers = (0..).zip(all).map(|(n, one)| (one.policy.id().to_string(), n));
        Ok(Self {
            origins: origins.collect(),
            numbers: numbers.collect(),
            policies: PolicySet::from_policies(all.iter().map(|one| one.policy.clone()))
                .map_err(|error| error.to_string())?,
            actions: schema.action_entities().map_err(|error| error.to_string())?,
            runs: AtomicU64::new(0),
        })
    }

    /// Does any policy depend on what is known only at a call?
    pub(super) fn is_conditional(&self) -> bool {
        self.origins.iter().any(|origin| origin.conditional.is_some())
    }

    /// What cannot be put to Cedar is refused.
    pub(super) fn run(&self, facts: &Facts, thing: &Thing<'_>, given: &Given) -> Ran {
        self.runs.fetch_add(1, Ordering::Relaxed);
        let Some((request, entities)) = self.request(facts, thing, given) else {
            return Ran { is_allowed: false, has_failed: true, by: Vec::new() };
        };
        let answer = Authorizer::new().is_authorized(&request, &self.policies, &entities);
        let numbers = |ids: &mut dyn Iterator<Item = String>| {
            let mut numbers: Vec<_> = ids.filter_map(|id| self.numbers.get(&id)).copied().collect();
            numbers.sort_unstable();
            numbers
        };
        let diagnostics = answer.diagnostics();
        // A policy that cannot be evaluated counts as absent for Cedar, one that denies too.
        let failed = numbers(&mut diagnostics.errors().map(|error| match error {
            AuthorizationError::PolicyEvaluationError(error) => error.policy_id().to_string(),
        }));
        if diagnostics.errors().next().is_some() {
            return Ran { is_allowed: false, has_failed: true, by: failed };
        }
        let is_allowed = answer.decision() == cedar_policy::Decision::Allow;
        let by = numbers(&mut diagnostics.reason().map(ToString::to_string));
        Ran { is_allowed, has_failed: false, by }
    }

    pub(super) fn reasons(&self, numbers: &[u32]) -> Vec<Reason> {
        let of = |number: &u32| self.origins.get(*number as usize);
        let mut reasons: Vec<_> =
            numbers.iter().filter_map(of).map(|origin| origin.reason.clone()).collect();
        reasons.sort();
        reasons.dedup();
        reasons
    }

    pub(super) fn decision(&self, ran: &Ran) -> Decision {
        let by = self.reasons(&ran.by);
        match (ran.has_failed, ran.is_allowed) {
            (true, _) => Decision::Failed(by),
            (false, true) => Decision::Allowed(by),
            (false, false) if by.is_empty() => Decision::NotAllowed,
            (false, false) => Decision::Denied(by),
        }
    }

    fn request(
        &self,
        facts: &Facts,
        thing: &Thing<'_>,
        given: &Given,
    ) -> Option<(Request, Entities)> {
        let caller = facts.entity()?;
        let action: EntityUid = schema::uid("Action", thing.action())?;
        let context: Context = facts.context(given)?;
        let request = Request::new(caller.uid(), action, thing.uid()?, context, None).ok()?;
        let mut entities = thing.entities()?;
        entities.push(caller);
        Some((request, self.actions.clone().add_entities(entities, None).ok()?))
    }
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |reasons: &[Reason]| {
            reasons.iter().map(Reason::to_string).collect::<Vec<_>>().join(", ")
        };
        match self {
            Self::Open => f.write_str("allowed: there are no access rules"),
            Self::Allowed(by) => write!(f, "allowed by {}", list(by)),
            Self::Denied(by) => write!(f, "denied by {}", list(by)),
            Self::NotAllowed => f.write_str(NO_RULE),
            Self::Failed(by) => write!(f, "refused, since {} could not be evaluated", list(by)),
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` ({})", self.name, self.place)
    }
}

/// The same sources are the same policy.
impl PartialEq for Policy {
    fn eq(&self, other: &Self) -> bool {
        self.rules == other.rules && self.files == other.files
    }
}

impl fmt::Debug for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Policy")
            .field("rules", &self.rules)
            .field("files", &self.files)
            .finish_non_exhaustive()
    }
}

impl AccessRule {
    /// The rule as it would be if it were about every caller.
    pub(super) fn of_anyone(&self) -> Self {
        Self { who: super::rule::Who::default(), mode: Mode::Enforce, ..self.clone() }
    }

    pub(super) fn is_allowing(&self) -> bool {
        self.effect == Effect::Allow
    }
}
