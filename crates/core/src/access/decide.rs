//! The one decision: may this caller use this thing? Its cases are in `tests`; the policies come
//! from [`super::compile`], and what is said of a decision from [`super::explain`].

use std::{collections::HashMap, fmt};

use cedar_policy::{
    AuthorizationError, Authorizer, Context, Entities, EntityUid, PolicySet, Request,
};

use super::{
    compile::{self, BadPolicy, PolicyFile},
    rule::{AccessRule, Effect, Place},
    schema::{self, Facts, Thing},
};
use crate::admission::{AccountName, Unread};

/// All rules and policies together. Without any, every caller may use everything; with any, only
/// what one allows and none denies.
#[derive(Default)]
pub struct Policy {
    rules: Vec<AccessRule>,
    files: Vec<PolicyFile>,
    in_force: Option<InForce>,
}

struct InForce {
    policies: PolicySet,
    reasons: HashMap<String, Reason>,
    /// The actions, and how they belong together.
    actions: Entities,
}

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
        let in_force = InForce::of(&rules, &files)?;
        Ok(Self { rules, files, in_force: Some(in_force) })
    }

    /// May every caller use everything?
    pub const fn is_open(&self) -> bool {
        self.in_force.is_none()
    }

    /// Can it matter to a decision whether a tool only reads?
    pub fn asks_read_only(&self) -> bool {
        self.rules.iter().any(|rule| rule.what.read_only.is_some())
            || self.files.iter().any(|file| file.text.contains("read_only"))
    }

    /// Could something that was not read of a person's account keep a rule from denying?
    pub fn may_deny_by(&self, unread: Unread) -> bool {
        let by_rule = |rule: &AccessRule| {
            let by_email = |person: &AccountName| matches!(person, AccountName::Email(_));
            rule.effect == Effect::Deny
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

    /// May this caller use this? Nothing of a server may be used that may not be entered.
    pub fn decide(&self, facts: &Facts, thing: &Thing<'_>) -> Decision {
        let Some(in_force) = &self.in_force else { return Decision::Open };
        let whole = match thing {
            Thing::Server(_) | Thing::Proxy(_) => return in_force.decide(facts, thing),
            Thing::Tool { server, .. }
            | Thing::Prompt(server, _)
            | Thing::Resource(server, _)
            | Thing::Method(server, _) => Thing::Server(server),
        };
        match in_force.decide(facts, &whole) {
            Decision::Allowed(_) => in_force.decide(facts, thing),
            refused => refused,
        }
    }
}

impl InForce {
    fn of(rules: &[AccessRule], files: &[PolicyFile]) -> Result<Self, Vec<BadPolicy>> {
        let broken = |problem: String| {
            vec![BadPolicy { place: Place { file: "schema".to_owned(), line: 1 }, problem }]
        };
        let schema = schema::schema().ok_or_else(|| broken("it cannot be read".to_owned()))?;
        let mut wrong = Vec::new();
        let mut all = Vec::new();
        for (number, rule) in rules.iter().enumerate() {
            match compile::of_rule(number, rule) {
                Ok(compiled) => all.extend(compiled),
                Err(bad) => wrong.push(bad),
            }
        }
        for file in files {
            match compile::of_file(file, &schema) {
                Ok(compiled) => all.extend(compiled),
                Err(bad) => wrong.extend(bad),
            }
        }
        let reason = |compiled: &compile::Compiled| Reason {
            name: compiled.name.clone(),
            place: compiled.place.clone(),
        };
        let reasons = all.iter().map(|one| (one.policy.id().to_string(), reason(one))).collect();
        let policies = PolicySet::from_policies(all.into_iter().map(|one| one.policy))
            .map_err(|error| broken(error.to_string()))?;
        let actions = schema.action_entities().map_err(|error| broken(error.to_string()))?;
        if wrong.is_empty() { Ok(Self { policies, reasons, actions }) } else { Err(wrong) }
    }

    /// What cannot be put to Cedar is refused.
    fn decide(&self, facts: &Facts, thing: &Thing<'_>) -> Decision {
        let Some((request, entities)) = self.request(facts, thing) else {
            return Decision::Failed(Vec::new());
        };
        let answer = Authorizer::new().is_authorized(&request, &self.policies, &entities);
        let reasons = |ids: &mut dyn Iterator<Item = String>| {
            let mut reasons: Vec<_> = ids.filter_map(|id| self.reasons.get(&id)).cloned().collect();
            reasons.sort();
            reasons.dedup();
            reasons
        };
        let diagnostics = answer.diagnostics();
        // A policy that cannot be evaluated counts as absent for Cedar, one that denies too.
        let failed = reasons(&mut diagnostics.errors().map(|error| match error {
            AuthorizationError::PolicyEvaluationError(error) => error.policy_id().to_string(),
        }));
        if diagnostics.errors().next().is_some() {
            return Decision::Failed(failed);
        }
        let by = reasons(&mut diagnostics.reason().map(ToString::to_string));
        match answer.decision() {
            cedar_policy::Decision::Allow => Decision::Allowed(by),
            cedar_policy::Decision::Deny if by.is_empty() => Decision::NotAllowed,
            cedar_policy::Decision::Deny => Decision::Denied(by),
        }
    }

    fn request(&self, facts: &Facts, thing: &Thing<'_>) -> Option<(Request, Entities)> {
        let caller = facts.entity()?;
        let action: EntityUid = schema::uid("Action", thing.action())?;
        let context: Context = facts.context()?;
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
            Self::NotAllowed => f.write_str("no rule allows it"),
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
        Self { who: super::rule::Who::default(), ..self.clone() }
    }

    pub(super) fn is_allowing(&self) -> bool {
        self.effect == Effect::Allow
    }
}
