//! Access rules in force ([`Access`]), and what a request may use by them and by its token's scopes
//! together ([`RequestAllow`]). The rules and the decision are `portunus_core::access`; what scopes
//! allow is [`super::scope`].
//!
//! Decisions are remembered for each caller, so that neither a call nor a list asks Cedar each
//! time. They are forgotten with the rules they were made by.

mod decisions;

use std::{
    fmt,
    sync::{Arc, Mutex, OnceLock, PoisonError, Weak},
    time::Duration,
};

use arc_swap::{ArcSwap, ArcSwapOption};
use moka::sync::Cache;
use portunus_core::{
    Clock,
    access::{self as rules, Circumstances, Facts, Judgement, Policy, Thing, ToolHints},
    admission::Unread,
    audit::{RefusalReason, shortened},
    disabled::DisabledSet,
    ids::ServerName,
    principal::Principal,
};
use portunus_mcp::{
    allow::{Allow, CalledWith, Unmet, Verdict},
    hub::{Names, View},
    observer::Called,
};
use tokio::sync::watch;

use self::decisions::{Decisions, LONGEST_NAME};
use super::scope::ScopeAllow;
use crate::disabled::Disabled;

/// Callers of whom decisions are remembered, by what is known of them: a person with each client is
/// one.
const CALLERS: u64 = 1024;

/// The access rules in force. All clones share them; requests and streams that began under earlier
/// ones too.
#[derive(Clone)]
pub struct Access {
    in_force: Arc<ArcSwap<Generation>>,
    clock: Arc<dyn Clock>,
    /// What is disabled is there for no caller, whatever the rules say.
    disabled: Disabled,
}

/// What was called, and is not there for its caller.
pub struct RefusedCall {
    /// Of a resource that is refused at every server it is not known whose it would be.
    pub server: Option<ServerName>,
    /// Its server's own name.
    pub name: String,
    /// An administrator disabled it. Else rules do not allow it.
    pub is_disabled: bool,
}

impl RefusedCall {
    pub const fn reason(&self) -> RefusalReason {
        if self.is_disabled { RefusalReason::Disabled } else { RefusalReason::PolicyRefused }
    }
}

/// The rules of one configuration, and what was decided by them.
struct Generation {
    number: u64,
    policy: Arc<Policy>,
    callers: Cache<Facts, Arc<Mutex<Decisions>>>,
}

/// What one caller may use.
pub struct CallerAccess {
    access: Access,
    principal: Arc<Principal>,
    remembered: Remembered,
    /// Of the call of a tool or prompt that it makes: a request makes one.
    noted: OnceLock<Noted>,
}

/// What rules said of a call that they refuse, or would refuse.
struct Noted {
    server: ServerName,
    name: String,
    /// What rules in shadow would refuse it by; `None`: it is refused.
    would_refuse: Option<String>,
}

/// How much of it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wanted {
    Decision,
    /// Of what is refused, also what would have to be otherwise.
    Unmet,
    /// The same, and of what is allowed, what rules in shadow say.
    Shadow,
}

/// What rules say of a thing now.
struct Outcome {
    is_allowed: bool,
    unmet: Option<rules::Unmet>,
    /// Of a call that is allowed: by what rules in shadow would refuse it.
    would_refuse: Option<String>,
}

impl Outcome {
    const fn of(is_allowed: bool) -> Self {
        Self { is_allowed, unmet: None, would_refuse: None }
    }

    const fn verdict(&self) -> Verdict {
        match self {
            Self { is_allowed: true, .. } => Verdict::Allowed,
            Self { unmet: Some(rules::Unmet::Arguments), .. } => Verdict::Unmet(Unmet::Arguments),
            Self { unmet: Some(rules::Unmet::SignIn), .. } => Verdict::Unmet(Unmet::SignIn),
            Self { unmet: None, .. } => Verdict::Hidden,
        }
    }
}

/// What a stream shows.
#[derive(Clone)]
pub enum Shown {
    All,
    Server(ServerName),
    /// A proxied path, by its pattern.
    Proxy(String),
}

impl Shown {
    pub fn of(view: &View) -> Self {
        match view {
            View::All => Self::All,
            View::One(server) => Self::Server(server.clone()),
        }
    }
}

/// The rules that a stream goes on by.
#[derive(Clone)]
pub struct StreamAccess {
    access: Access,
    /// As it was when the stream began.
    principal: Arc<Principal>,
    shown: Shown,
}

/// Where the decisions about a caller are, kept beside what is known of them from one request to
/// the next: else they are looked for by all of that. It keeps none of them alive.
#[derive(Clone, Default)]
pub struct Remembered(Arc<ArcSwapOption<Held>>);

struct Held {
    /// Of the rules that made the decisions.
    number: u64,
    facts: Facts,
    decisions: Weak<Mutex<Decisions>>,
}

impl Access {
    pub fn new(policy: Arc<Policy>, clock: Arc<dyn Clock>) -> Self {
        Self::with(policy, clock, Disabled::default())
    }

    pub fn with(policy: Arc<Policy>, clock: Arc<dyn Clock>, disabled: Disabled) -> Self {
        let in_force = Arc::new(ArcSwap::from_pointee(Generation::new(0, policy)));
        Self { in_force, clock, disabled }
    }

    /// From now on, these rules decide.
    pub fn change(&self, policy: Arc<Policy>) {
        let number = self.in_force.load().number + 1;
        self.in_force.store(Arc::new(Generation::new(number, policy)));
    }

    /// Could something that was not read of a person's account keep a rule from denying?
    pub fn may_deny_by(&self, unread: Unread) -> bool {
        self.in_force.load().policy.may_deny_by(unread)
    }

    /// Are there no rules, so that everyone may use everything?
    pub fn is_open(&self) -> bool {
        self.in_force.load().policy.is_open()
    }

    /// What this caller may use, by the rules in force whenever it is asked.
    pub fn of(&self, principal: Arc<Principal>) -> CallerAccess {
        self.of_remembered(principal, Remembered::default())
    }

    /// The same, of a caller who was here before.
    pub fn of_remembered(&self, principal: Arc<Principal>, remembered: Remembered) -> CallerAccess {
        CallerAccess { access: self.clone(), principal, remembered, noted: OnceLock::new() }
    }

    /// For a stream that begins.
    pub fn stream(&self, principal: &Arc<Principal>, shown: Shown) -> StreamAccess {
        StreamAccess { access: self.clone(), principal: Arc::clone(principal), shown }
    }
}

impl StreamAccess {
    /// Changes when something was disabled or enabled.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.access.disabled.changes()
    }

    /// Is its person, its client, or all that it shows disabled? Asked of the memory alone.
    pub fn is_disabled(&self) -> bool {
        self.is_among(&self.access.disabled.now())
    }

    /// Returns when that is so.
    pub async fn until_disabled(&self) {
        self.access.disabled.until(|set| self.is_among(set)).await;
    }

    fn is_among(&self, set: &DisabledSet) -> bool {
        set.refuses(&self.principal.user, &self.principal.client)
            || match &self.shown {
                Shown::All => false,
                Shown::Server(server) => set.hides(&Thing::Server(server)),
                Shown::Proxy(pattern) => set.hides(&Thing::Proxy(pattern)),
            }
    }

    /// May the stream go on, now that this is known of its person? What it carries is judged by
    /// what was known when it began, so it ends with that.
    pub fn may_go_on(&self, principal: &Arc<Principal>) -> bool {
        let generation = self.access.in_force.load();
        if generation.policy.is_open() {
            return true;
        }
        // Who has signed in since sees more: another stream tells what changes there.
        let is_as_new = !generation.policy.asks_sign_in()
            || principal.signed_in_at == self.principal.signed_in_at;
        let caller = self.access.of(Arc::clone(principal));
        let is_there = match &self.shown {
            Shown::All => true,
            Shown::Server(server) => caller.may_enter(server),
            Shown::Proxy(pattern) => caller.may(&Thing::Proxy(pattern)),
        };
        is_there && is_as_new && Facts::of(principal) == Facts::of(&self.principal)
    }
}

impl Generation {
    fn new(number: u64, policy: Arc<Policy>) -> Self {
        Self { number, policy, callers: Cache::new(CALLERS) }
    }
}

impl CallerAccess {
    /// May the caller use this, with some arguments?
    pub fn may(&self, thing: &Thing<'_>) -> bool {
        if self.is_disabled(thing) {
            return false;
        }
        let generation = self.access.in_force.load();
        generation.policy.is_open()
            || self.outcome(&generation, thing, CalledWith::Any, Wanted::Decision).is_allowed
    }

    /// Of what the caller may use: by what rules in shadow would refuse it.
    pub fn would_refuse(&self, thing: &Thing<'_>) -> Option<String> {
        let generation = self.access.in_force.load();
        if !generation.policy.has_shadow() {
            return None;
        }
        self.outcome(&generation, thing, CalledWith::Any, Wanted::Shadow).would_refuse
    }

    /// What rules say of a tool or prompt. A call that they refuse, or would refuse, is noted.
    fn named(&self, thing: &Thing<'_>, server: &ServerName, with: CalledWith<'_>) -> Verdict {
        if self.is_disabled(thing) {
            return Verdict::Hidden;
        }
        let generation = self.access.in_force.load();
        let is_call = matches!(with, CalledWith::These(_));
        let is_all_allowed =
            if is_call { generation.policy.is_empty() } else { generation.policy.is_open() };
        if is_all_allowed {
            return Verdict::Allowed;
        }
        let wanted = if is_call { Wanted::Shadow } else { Wanted::Unmet };
        let outcome = self.outcome(&generation, thing, with, wanted);
        let verdict = outcome.verdict();
        if is_call && (!outcome.is_allowed || outcome.would_refuse.is_some()) {
            let (server, name) = (server.clone(), shortened(thing.name()));
            let _ = self.noted.set(Noted { server, name, would_refuse: outcome.would_refuse });
        }
        verdict
    }

    fn outcome(
        &self,
        generation: &Arc<Generation>,
        thing: &Thing<'_>,
        with: CalledWith<'_>,
        wanted: Wanted,
    ) -> Outcome {
        // It would take long to decide, and could not be remembered: no name is as long.
        if thing.name().len() > LONGEST_NAME {
            return Outcome::of(generation.policy.is_open());
        }
        let policy = &generation.policy;
        let (held, decisions) = self.held(generation);
        let judgement = judgement(policy, &held.facts, &decisions, thing, &|| self.signed_in());
        if let Some(is_allowed) = judgement.settled() {
            if !is_allowed {
                self.tell(thing, "access rules do not allow this");
            }
            return Outcome::of(is_allowed);
        }
        // Read only where it matters.
        let arguments = match with {
            CalledWith::Any => None,
            CalledWith::These(json) => {
                Some(policy.read_arguments(json.map(|json| &json.as_bytes()[..])))
            }
        };
        let arguments = arguments.as_ref().map_or(rules::CalledWith::Any, rules::CalledWith::These);
        let now = Circumstances { signed_in: self.signed_in(), arguments };
        let mut outcome = Outcome::of(policy.allows(&judgement, &now));
        if !outcome.is_allowed {
            self.tell(thing, "access rules do not allow this now");
        }
        if !outcome.is_allowed && wanted != Wanted::Decision {
            outcome.unmet = policy.unmet(&judgement, &now);
        } else if wanted == Wanted::Shadow {
            outcome.would_refuse = policy.would_refuse(&judgement, &now).map(|by| in_words(&by));
        }
        outcome
    }

    fn tell(&self, thing: &Thing<'_>, what: &str) {
        tracing::debug!(
            user = %self.principal.user, client_id = %self.principal.client, ?thing, "{what}"
        );
    }

    /// How long ago the person signed in.
    fn signed_in(&self) -> Option<Duration> {
        self.principal.signed_in_at.map(|at| self.access.clock.now().since(at))
    }

    /// What was noted of the call that this request made: it was refused, or would be.
    pub fn noted_refusal(&self) -> Option<(ServerName, String)> {
        let noted = self.noted.get().filter(|noted| noted.would_refuse.is_none())?;
        Some((noted.server.clone(), noted.name.clone()))
    }

    /// The same, of one that rules in shadow would refuse.
    pub fn noted_shadow(&self) -> Option<String> {
        self.noted.get()?.would_refuse.clone()
    }

    /// Is it there for no caller at all?
    pub fn is_disabled(&self, thing: &Thing<'_>) -> bool {
        self.access.disabled.now().hides(thing)
    }

    /// Why a thing is not there that this caller may not use.
    pub fn why_refused(&self, thing: &Thing<'_>) -> RefusalReason {
        if self.is_disabled(thing) { RefusalReason::Disabled } else { RefusalReason::PolicyRefused }
    }

    /// Anything at all of this server?
    pub fn may_enter(&self, server: &ServerName) -> bool {
        self.may(&Thing::Server(server))
    }

    /// Of a call at this server that was refused, what is disabled or what rules do not allow.
    /// `None`: it was refused for another reason.
    pub fn refused_at(
        &self,
        server: &ServerName,
        called: Called,
        name: &str,
    ) -> Option<RefusedCall> {
        if let Some(noted) = self.noted_call(called) {
            return Some(noted);
        }
        let thing = thing(called, server, name);
        (!self.may(&thing)).then(|| RefusedCall {
            server: Some(server.clone()),
            name: name.to_owned(),
            is_disabled: self.is_disabled(&thing),
        })
    }

    /// The same on `/mcp`, of a call that was sent to no server: one that may not be entered is not
    /// there. It is found by the prefix.
    pub fn refused<'a>(
        &self,
        servers: impl Iterator<Item = &'a ServerName>,
        names: Names,
        called: Called,
        name: &str,
    ) -> Option<RefusedCall> {
        if let Some(noted) = self.noted_call(called) {
            return Some(noted);
        }
        if self.access.in_force.load().policy.is_open()
            && !self.access.disabled.now().hides_anything()
        {
            return None;
        }
        if called == Called::Resource || names == Names::Plain {
            return self.refused_everywhere(servers, called, name);
        }
        let own = |server: &'a ServerName| {
            let own = name.strip_prefix(server.as_str())?.strip_prefix('_')?;
            self.refused_at(server, called, own)
        };
        let length =
            |refused: &RefusedCall| refused.server.as_ref().map(|name| name.as_str().len());
        servers.filter_map(own).max_by_key(length)
    }

    fn noted_call(&self, called: Called) -> Option<RefusedCall> {
        let (server, name) = self.noted_refusal()?;
        let is_disabled = self.is_disabled(&thing(called, &server, &name));
        Some(RefusedCall { server: Some(server), name, is_disabled })
    }

    /// Whose it would be is not known: it is refused if it may be had at no server.
    fn refused_everywhere<'a>(
        &self,
        servers: impl Iterator<Item = &'a ServerName>,
        called: Called,
        name: &str,
    ) -> Option<RefusedCall> {
        let mut refused = None;
        for server in servers {
            let thing = thing(called, server, name);
            if self.may(&thing) {
                return None;
            }
            let is_disabled = self.is_disabled(&thing) && refused.unwrap_or(true);
            refused = Some(is_disabled);
        }
        let name = name.to_owned();
        refused.map(|is_disabled| RefusedCall { server: None, name, is_disabled })
    }

    pub fn principal(&self) -> &Principal {
        &self.principal
    }

    /// Rules and what is disabled go by names.
    fn asks_listed(&self, server: &ServerName) -> bool {
        let Access { in_force, disabled, .. } = &self.access;
        !in_force.load().policy.is_open() || disabled.now().hides_tools_of(server)
    }

    /// Another number when the rules changed, or what is disabled. Neither number ever falls, so
    /// their sum is another one when either rose.
    fn number(&self) -> u64 {
        self.access.in_force.load().number + self.access.disabled.hides()
    }

    fn held(&self, generation: &Generation) -> (Arc<Held>, Arc<Mutex<Decisions>>) {
        if let Some(held) = self.remembered.0.load_full()
            && held.number == generation.number
            && let Some(decisions) = held.decisions.upgrade()
        {
            return (held, decisions);
        }
        let facts = Facts::of(&self.principal);
        let decisions = generation.callers.get_with_by_ref(&facts, Arc::default);
        let (number, weak) = (generation.number, Arc::downgrade(&decisions));
        let held = Arc::new(Held { number, facts, decisions: weak });
        self.remembered.0.store(Some(Arc::clone(&held)));
        (held, decisions)
    }
}

/// Without a look at the server's list, a tool counts as one that does not only read.
fn thing<'a>(called: Called, server: &'a ServerName, name: &'a str) -> Thing<'a> {
    match called {
        Called::Tool => Thing::Tool { server, name, hints: ToolHints::default() },
        Called::Prompt => Thing::Prompt(server, name),
        Called::Resource => Thing::Resource(server, name),
    }
}

/// Decided once for all callers of whom the same is known.
fn judgement(
    policy: &Policy,
    facts: &Facts,
    decisions: &Mutex<Decisions>,
    thing: &Thing<'_>,
    signed_in: &dyn Fn() -> Option<Duration>,
) -> Arc<Judgement> {
    let locked = || decisions.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(judgement) = locked().find(thing) {
        return judgement;
    }
    // Of all that is in a server, whether it may be entered is decided once.
    let entered =
        thing.server_of().map(|server| judgement(policy, facts, decisions, &server, signed_in));
    let judgement = Arc::new(policy.judge(facts, thing, signed_in(), entered.as_deref()));
    if judgement.is_lasting() {
        locked().remember(thing, Arc::clone(&judgement));
    }
    judgement
}

/// By which rules, for the audit trail.
fn in_words(by: &[rules::Reason]) -> String {
    if by.is_empty() {
        return rules::NO_RULE.to_owned();
    }
    by.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// What a request may use: what the scopes of its token cover, of what the rules allow its caller.
/// What rules do not allow is not there, whatever the scopes are.
pub struct RequestAllow {
    pub scopes: ScopeAllow,
    pub access: CallerAccess,
}

impl RequestAllow {
    fn verdict(&self, thing: &Thing<'_>, scopes: impl FnOnce() -> Verdict) -> Verdict {
        if self.access.may(thing) { scopes() } else { Verdict::Hidden }
    }
}

impl Allow for RequestAllow {
    fn server(&self, server: &ServerName) -> Verdict {
        match self.access.named(&Thing::Server(server), server, CalledWith::Any) {
            Verdict::Allowed => self.scopes.server(server),
            refused => refused,
        }
    }

    fn tool(
        &self,
        server: &ServerName,
        name: &str,
        hints: ToolHints,
        with: CalledWith<'_>,
    ) -> Verdict {
        match self.access.named(&Thing::Tool { server, name, hints }, server, with) {
            Verdict::Allowed => self.scopes.tool(server, name, hints, with),
            refused => refused,
        }
    }

    fn prompt(&self, server: &ServerName, name: &str, with: CalledWith<'_>) -> Verdict {
        match self.access.named(&Thing::Prompt(server, name), server, with) {
            Verdict::Allowed => self.scopes.prompt(server, name, with),
            refused => refused,
        }
    }

    fn resource(&self, server: &ServerName, uri: &str) -> Verdict {
        self.verdict(&Thing::Resource(server, uri), || self.scopes.resource(server, uri))
    }

    fn method(&self, server: &ServerName, method: &str) -> Verdict {
        self.verdict(&Thing::Method(server, method), || self.scopes.method(server, method))
    }

    fn asks_hints(&self) -> bool {
        self.access.access.in_force.load().policy.asks_hints()
    }

    fn asks_arguments(&self) -> bool {
        self.access.access.in_force.load().policy.asks_arguments()
    }

    fn asks_listed(&self, server: &ServerName) -> bool {
        self.access.asks_listed(server)
    }

    fn rules(&self) -> u64 {
        self.access.number()
    }
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Access")
            .field(&self.in_force.load().policy)
            .field(&self.disabled)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
