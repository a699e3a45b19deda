//! The one decision: may this caller use this thing, now and with these arguments? What does not
//! depend on the call is a [`Judgement`], which can be remembered; the rest is decided for each
//! call by the few rules that speak of the thing. Its cases are in `tests`; an evaluation by Cedar
//! is [`super::decide`]'s.

use std::{mem::size_of_val, time::Duration};

use super::{
    arguments::Arguments,
    condition::{ArgumentCondition, Fit},
    decide::{Decision, InForce, Policy, Ran, Reason},
    possible::is_possible,
    rule::{AccessRule, Effect},
    schema::{Facts, Given, Thing},
};

/// What is known only when something is called, or listed.
#[derive(Clone, Copy, Debug, Default)]
pub struct Circumstances<'a> {
    /// How long ago the caller last signed in; `None` of one that never does.
    pub signed_in: Option<Duration>,
    pub arguments: CalledWith<'a>,
}

/// The arguments that count.
#[derive(Clone, Copy, Debug, Default)]
pub enum CalledWith<'a> {
    /// Nothing is called: is there anything that it could be called with?
    #[default]
    Any,
    These(&'a Arguments<'a>),
}

/// Why what rules could allow is refused now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unmet {
    /// With other arguments it would be allowed.
    Arguments,
    /// After a new sign-in it would be allowed.
    SignIn,
}

/// What is decided of a caller and a thing before it is called.
#[derive(Clone, Debug)]
pub struct Judgement {
    enforced: Ruling,
    /// With what is in shadow.
    whole: Option<Ruling>,
    is_lasting: bool,
}

#[derive(Clone, Debug)]
enum Ruling {
    Allowed,
    /// Whatever it is called with. By these policies; by none: no rule allows it.
    Refused(Box<[u32]>),
    /// All of these must hold.
    Depends(Box<[Part]>),
}

/// The rules, by their numbers, that speak of the thing whenever their conditions are met.
#[derive(Clone, Debug)]
struct Part {
    /// A rule without conditions allows it.
    always: bool,
    allows: Box<[u32]>,
    denies: Box<[u32]>,
    /// Do conditions on arguments count? Not for entering a server.
    by_arguments: bool,
}

impl Judgement {
    /// May it be remembered? Not where a policy file goes by the time.
    pub const fn is_lasting(&self) -> bool {
        self.is_lasting
    }

    /// Whether it is allowed, if that does not depend on the call and nothing in shadow refuses it.
    pub fn settled(&self) -> Option<bool> {
        match (&self.enforced, &self.whole) {
            (Ruling::Allowed, None | Some(Ruling::Allowed)) => Some(true),
            (Ruling::Refused(_), _) => Some(false),
            _ => None,
        }
    }

    /// What it takes of the memory, beside itself, in bytes.
    pub fn size(&self) -> usize {
        self.enforced.size() + self.whole.as_ref().map_or(0, Ruling::size)
    }
}

impl Ruling {
    fn size(&self) -> usize {
        match self {
            Self::Allowed => 0,
            Self::Refused(by) => size_of_val::<[u32]>(by),
            Self::Depends(parts) => {
                let rules = parts.iter().map(|part| part.allows.len() + part.denies.len());
                size_of_val::<[Part]>(parts) + rules.sum::<usize>() * size_of::<u32>()
            }
        }
    }
}

impl Policy {
    /// Decides what can be decided before a call. Nothing of a server may be used that may not be
    /// entered: what was judged of the server, if it is at hand, is `entered`.
    pub fn judge(
        &self,
        facts: &Facts,
        thing: &Thing<'_>,
        signed_in: Option<Duration>,
        entered: Option<&Judgement>,
    ) -> Judgement {
        let ruling = |in_force: &InForce, entered: Option<&Ruling>| {
            let own = |thing: &Thing<'_>| self.ruling(in_force, facts, thing, signed_in);
            match (thing.server_of(), entered) {
                (None, _) => own(thing),
                (Some(_), Some(entered)) => entered.clone().and(|| own(thing)),
                (Some(server), None) => own(&server).and(|| own(thing)),
            }
        };
        Judgement {
            enforced: self.enforced.as_ref().map_or(Ruling::Allowed, |in_force| {
                ruling(in_force, entered.map(|entered| &entered.enforced))
            }),
            whole: self.whole.as_ref().map(|in_force| {
                ruling(in_force, entered.and_then(|entered| entered.whole.as_ref()))
            }),
            is_lasting: !self.needs.by_time,
        }
    }

    /// The arguments of a call, as far as rules speak of them: JSON, as it is forwarded.
    pub fn read_arguments<'a>(&self, json: Option<&'a [u8]>) -> Arguments<'a> {
        self.needs.paths.read(json)
    }

    pub fn allows(&self, judgement: &Judgement, now: &Circumstances<'_>) -> bool {
        self.resolve(&judgement.enforced, now).is_ok()
    }

    /// Would what is allowed be refused, if everything in shadow were enforced? By these rules; by
    /// none: no rule allows it.
    pub fn would_refuse(
        &self,
        judgement: &Judgement,
        now: &Circumstances<'_>,
    ) -> Option<Vec<Reason>> {
        let (ruling, in_force) = (judgement.whole.as_ref()?, self.whole.as_ref()?);
        let why = self.resolve(ruling, now).err()?;
        if !self.allows(judgement, now) {
            return None;
        }
        Some(self.reasons_of(in_force, &why))
    }

    /// What would have to be otherwise for this to be allowed; `None`: nothing that a caller can
    /// change.
    pub fn unmet(&self, judgement: &Judgement, now: &Circumstances<'_>) -> Option<Unmet> {
        let is_allowed =
            |signed_in, arguments| self.allows(judgement, &Circumstances { signed_in, arguments });
        // Of a caller that never signs in, nothing is new.
        let anew = now.signed_in.map(|_| Duration::ZERO);
        if is_allowed(anew, now.arguments) {
            Some(Unmet::SignIn)
        } else if is_allowed(now.signed_in, CalledWith::Any) {
            Some(Unmet::Arguments)
        } else {
            is_allowed(anew, CalledWith::Any).then_some(Unmet::SignIn)
        }
    }

    /// May this caller use this, with some arguments and without a sign-in?
    pub fn decide(&self, facts: &Facts, thing: &Thing<'_>) -> Decision {
        self.decide_now(facts, thing, &Circumstances::default())
    }

    /// May this caller use this now? Evaluated anew as a whole: for those who want to know why.
    pub fn decide_now(
        &self,
        facts: &Facts,
        thing: &Thing<'_>,
        now: &Circumstances<'_>,
    ) -> Decision {
        let in_force = self.enforced.as_ref();
        in_force.map_or(Decision::Open, |in_force| self.evaluate(in_force, facts, thing, now))
    }

    /// What would be decided if everything in shadow were enforced; `None`: nothing is.
    pub fn decide_whole(
        &self,
        facts: &Facts,
        thing: &Thing<'_>,
        now: &Circumstances<'_>,
    ) -> Option<Decision> {
        self.whole.as_ref().map(|in_force| self.evaluate(in_force, facts, thing, now))
    }

    fn evaluate(
        &self,
        in_force: &InForce,
        facts: &Facts,
        thing: &Thing<'_>,
        now: &Circumstances<'_>,
    ) -> Decision {
        let numbers = |fits: &dyn Fn(u32, &AccessRule) -> bool| {
            let rules = (0..).zip(self.rules()).filter(|(number, rule)| fits(*number, rule));
            rules.map(|(number, _)| number).collect()
        };
        let given = Given {
            recent: numbers(&|_, rule| rule.fits_sign_in(now.signed_in)),
            fitting: numbers(&|number, rule| match now.arguments {
                CalledWith::Any => rule.is_allowing(),
                CalledWith::These(arguments) => self.fits(number, arguments),
            }),
            signed_in: now.signed_in,
        };
        if let Some(server) = thing.server_of() {
            let entered = in_force.run(facts, &server, &given);
            if !entered.is_allowed {
                return in_force.decision(&entered);
            }
        }
        let ran = in_force.run(facts, thing, &given);
        if ran.is_allowed && matches!(now.arguments, CalledWith::Any) {
            // What one rule asks for may be all that another denies.
            let ruling = self.ruling(in_force, facts, thing, now.signed_in);
            if let Err(why) = self.resolve(&ruling, now) {
                return match self.reasons_of(in_force, &why) {
                    by if by.is_empty() => Decision::NotAllowed,
                    by => Decision::Denied(by),
                };
            }
        }
        in_force.decision(&ran)
    }

    /// The thing alone, without its server.
    fn ruling(
        &self,
        in_force: &InForce,
        facts: &Facts,
        thing: &Thing<'_>,
        signed_in: Option<Duration>,
    ) -> Ruling {
        let run = |rules: &dyn Fn(&AccessRule) -> bool| -> Ran {
            let numbers: Vec<u32> = (0..)
                .zip(self.rules())
                .filter(|(_, rule)| !rule.when.is_always() && rules(rule))
                .map(|(number, _)| number)
                .collect();
            let given = Given { recent: numbers.clone(), fitting: numbers, signed_in };
            in_force.run(facts, thing, &given)
        };
        // The most that conditions could allow, and the least.
        let most = run(&AccessRule::is_allowing);
        if !most.is_allowed {
            return Ruling::Refused(most.by.into());
        }
        if !in_force.is_conditional() || run(&|rule| !rule.is_allowing()).is_allowed {
            return Ruling::Allowed;
        }
        let all = run(&|_| true);
        let conditional = |ran: &Ran| {
            let of = |number: &u32| in_force.origins.get(*number as usize)?.conditional;
            let mut rules: Vec<_> = ran.by.iter().filter_map(of).collect();
            rules.dedup();
            rules.into_boxed_slice()
        };
        let is_free = |number: &u32| {
            in_force.origins.get(*number as usize).is_some_and(|one| one.conditional.is_none())
        };
        Ruling::Depends(Box::new([Part {
            always: most.by.iter().any(is_free),
            allows: conditional(&most),
            denies: if all.is_allowed { Box::default() } else { conditional(&all) },
            by_arguments: matches!(thing, Thing::Tool { .. } | Thing::Prompt(..)),
        }]))
    }

    fn resolve<'r>(&self, ruling: &'r Ruling, now: &Circumstances<'_>) -> Result<(), Why<'r>> {
        match ruling {
            Ruling::Allowed => Ok(()),
            Ruling::Refused(by) => Err(Why::Policies(by)),
            Ruling::Depends(parts) => {
                parts.iter().try_for_each(|part| self.resolve_part(part, now))
            }
        }
    }

    fn resolve_part(&self, part: &Part, now: &Circumstances<'_>) -> Result<(), Why<'static>> {
        let in_time = |number: &&u32| {
            let rule = self.rules().get(**number as usize);
            rule.is_some_and(|rule| rule.fits_sign_in(now.signed_in))
        };
        let in_part = |number: &&u32| match now.arguments {
            CalledWith::These(arguments) => !part.by_arguments || self.fits(**number, arguments),
            CalledWith::Any => true,
        };
        let mut allows = part.allows.iter().filter(in_time).filter(in_part).peekable();
        let denies: Vec<u32> =
            part.denies.iter().filter(in_time).filter(in_part).copied().collect();
        if !part.always && allows.peek().is_none() {
            return Err(Why::Rules(Vec::new()));
        }
        let is_allowed = match now.arguments {
            CalledWith::Any if part.by_arguments => {
                let of = |number: u32| self.conditions_of(number);
                let refusing: Vec<_> = denies.iter().map(|number| of(*number)).collect();
                (part.always && is_possible(&[], &refusing))
                    || allows.any(|number| is_possible(of(*number), &refusing))
            }
            _ => denies.is_empty(),
        };
        if is_allowed { Ok(()) } else { Err(Why::Rules(denies)) }
    }

    fn conditions_of(&self, number: u32) -> &[ArgumentCondition] {
        self.rules().get(number as usize).map_or(&[], |rule| &rule.when.arguments)
    }

    /// A rule that allows asks for all of its conditions; one that denies leaves alone what is sure
    /// not to meet one of them.
    fn fits(&self, number: u32, arguments: &Arguments<'_>) -> bool {
        let rule = self.rules().get(number as usize);
        let paths = self.needs.of_rule.get(number as usize);
        let Some((rule, paths)) = rule.zip(paths) else { return false };
        let mut fits = paths
            .iter()
            .zip(&rule.when.arguments)
            .map(|(path, condition)| arguments.fit(*path, condition));
        match rule.effect {
            Effect::Allow => fits.all(|fit| fit == Fit::Yes),
            Effect::Deny => fits.all(|fit| fit != Fit::No),
        }
    }

    fn reasons_of(&self, in_force: &InForce, why: &Why<'_>) -> Vec<Reason> {
        match why {
            Why::Policies(numbers) => in_force.reasons(numbers),
            Why::Rules(rules) => {
                let of = |number: &u32| self.rules().get(*number as usize);
                let reason = |rule: &AccessRule| Reason {
                    name: rule.name.clone(),
                    place: rule.place.clone(),
                };
                rules.iter().filter_map(of).map(reason).collect()
            }
        }
    }
}

/// What refused: nothing in it, if no rule allows.
enum Why<'r> {
    Policies(&'r [u32]),
    Rules(Vec<u32>),
}

impl Ruling {
    /// Both must hold.
    fn and(self, other: impl FnOnce() -> Self) -> Self {
        match self {
            Self::Allowed => other(),
            Self::Refused(by) => Self::Refused(by),
            Self::Depends(parts) => match other() {
                Self::Allowed => Self::Depends(parts),
                Self::Refused(by) => Self::Refused(by),
                Self::Depends(more) => Self::Depends(parts.into_iter().chain(more).collect()),
            },
        }
    }
}
