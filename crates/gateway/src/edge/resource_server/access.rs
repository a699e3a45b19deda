//! Access rules in force ([`Access`]), and what a request may use by them and by its token's scopes
//! together ([`RequestAllow`]). The rules and the decision are `portunus_core::access`; what scopes
//! allow is [`super::scope`].
//!
//! Decisions are remembered for each caller, so that neither a call nor a list asks Cedar each
//! time. They are forgotten with the rules they were made by.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use arc_swap::{ArcSwap, ArcSwapOption};
use moka::sync::Cache;
use portunus_core::{
    access::{Facts, Policy, Thing},
    admission::Unread,
    audit::RefusalReason,
    disabled::DisabledSet,
    ids::ServerName,
    principal::Principal,
};
use portunus_mcp::{
    allow::{Allow, Verdict},
    hub::View,
    observer::Called,
};
use tokio::sync::watch;

use super::scope::ScopeAllow;
use crate::disabled::Disabled;

/// Callers of whom decisions are remembered, by what is known of them: a person with each client is
/// one.
const CALLERS: u64 = 1024;
/// Bytes of decisions of one caller.
const BYTES_PER_CALLER: usize = 128 * 1024;
/// A longer name is refused while there are rules. In bytes.
const LONGEST_NAME: usize = BYTES_PER_CALLER / 16 - 1024;
/// What a decision takes beside its name.
const ENTRY: usize = 96;

/// The access rules in force. All clones share them; requests and streams that began under earlier
/// ones too.
#[derive(Clone)]
pub struct Access {
    rules: Arc<ArcSwap<Generation>>,
    /// What is disabled is there for no caller, whatever the rules say.
    disabled: Disabled,
}

/// What was called, and is not there for its caller.
pub struct RefusedCall {
    pub server: ServerName,
    /// Its server's own name.
    pub name: String,
    /// An administrator disabled it. Else rules do not allow it.
    pub is_disabled: bool,
}

/// The rules of one configuration, and what was decided by them.
struct Generation {
    policy: Arc<Policy>,
    callers: Cache<Facts, Arc<Mutex<Decisions>>>,
}

/// What was decided for one caller, by kind of thing, server and name.
#[derive(Default)]
struct Decisions {
    found: HashMap<Kind, HashMap<Box<str>, ByName>>,
    bytes: usize,
}

type ByName = HashMap<Box<str>, bool>;

/// What is done with a thing; of a tool, also what its server says of it.
type Kind = (&'static str, bool);

/// What one caller may use.
pub struct CallerAccess {
    access: Access,
    principal: Arc<Principal>,
    /// By the rules that the caller was last judged by.
    held: ArcSwapOption<Held>,
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

struct Held {
    generation: Arc<Generation>,
    facts: Facts,
    decisions: Arc<Mutex<Decisions>>,
}

impl Access {
    pub fn new(policy: Arc<Policy>) -> Self {
        Self::with(policy, Disabled::default())
    }

    pub fn with(policy: Arc<Policy>, disabled: Disabled) -> Self {
        Self { rules: Arc::new(ArcSwap::from_pointee(Generation::new(policy))), disabled }
    }

    /// From now on, these rules decide.
    pub fn change(&self, policy: Arc<Policy>) {
        self.rules.store(Arc::new(Generation::new(policy)));
    }

    /// Could something that was not read of a person's account keep a rule from denying?
    pub fn may_deny_by(&self, unread: Unread) -> bool {
        self.rules.load().policy.may_deny_by(unread)
    }

    /// Are there no rules, so that everyone may use everything?
    pub fn is_open(&self) -> bool {
        self.rules.load().policy.is_open()
    }

    /// What this caller may use, by the rules in force whenever it is asked.
    pub fn of(&self, principal: Arc<Principal>) -> CallerAccess {
        CallerAccess { access: self.clone(), principal, held: ArcSwapOption::empty() }
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
        if self.access.rules.load().policy.is_open() {
            return true;
        }
        let caller = self.access.of(Arc::clone(principal));
        let is_there = match &self.shown {
            Shown::All => true,
            Shown::Server(server) => caller.may_enter(server),
            Shown::Proxy(pattern) => caller.may(&Thing::Proxy(pattern)),
        };
        is_there && Facts::of(principal) == Facts::of(&self.principal)
    }
}

impl Generation {
    fn new(policy: Arc<Policy>) -> Self {
        Self { policy, callers: Cache::new(CALLERS) }
    }
}

impl CallerAccess {
    /// May the caller use this?
    pub fn may(&self, thing: &Thing<'_>) -> bool {
        if self.is_disabled(thing) {
            return false;
        }
        let generation = self.access.rules.load();
        if generation.policy.is_open() {
            return true;
        }
        // It would take long to decide, and could not be remembered: no name is as long.
        if thing.name().len() > LONGEST_NAME {
            return false;
        }
        let held = self.held(&generation);
        let locked = || held.decisions.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(decided) = locked().find(thing) {
            return decided;
        }
        let decision = held.generation.policy.decide(&held.facts, thing);
        let allowed = decision.is_allowed();
        if !allowed {
            tracing::debug!(
                user = %self.principal.user, client_id = %self.principal.client, ?thing, %decision,
                "access rules do not allow this"
            );
        }
        locked().remember(thing, allowed);
        allowed
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

    /// Of a call that was refused, what is disabled or what rules do not allow. `None`: it was
    /// refused for another reason.
    ///
    /// On `/mcp` a server that may not be entered is not there, and a call of it names no `server`:
    /// it is found by the prefix.
    pub fn refused<'a>(
        &self,
        servers: impl Iterator<Item = &'a ServerName>,
        called: Called,
        server: Option<&ServerName>,
        name: &str,
    ) -> Option<RefusedCall> {
        if self.access.rules.load().policy.is_open() && !self.access.disabled.now().hides_anything()
        {
            return None;
        }
        let refused = |server: &ServerName, name: &str| {
            let thing = thing(called, server, name);
            (!self.may(&thing)).then(|| RefusedCall {
                server: server.clone(),
                name: name.to_owned(),
                is_disabled: self.is_disabled(&thing),
            })
        };
        if let Some(server) = server {
            return refused(server, name);
        }
        let own = |server: &'a ServerName| {
            refused(server, name.strip_prefix(server.as_str())?.strip_prefix('_')?)
        };
        servers.filter_map(own).max_by_key(|refused| refused.server.as_str().len())
    }

    pub fn principal(&self) -> &Principal {
        &self.principal
    }

    fn asks_read_only(&self) -> bool {
        self.access.rules.load().policy.asks_read_only()
    }

    fn held(&self, generation: &Arc<Generation>) -> Arc<Held> {
        if let Some(held) = self.held.load_full()
            && Arc::ptr_eq(&held.generation, generation)
        {
            return held;
        }
        let facts = Facts::of(&self.principal);
        let decisions = generation.callers.get_with_by_ref(&facts, Arc::default);
        let held = Arc::new(Held { generation: Arc::clone(generation), facts, decisions });
        self.held.store(Some(Arc::clone(&held)));
        held
    }
}

/// Without a look at the server's list, a tool counts as one that does not only read.
const fn thing<'a>(called: Called, server: &'a ServerName, name: &'a str) -> Thing<'a> {
    match called {
        Called::Tool => Thing::Tool { server, name, read_only: false },
        Called::Prompt => Thing::Prompt(server, name),
        Called::Resource => Thing::Resource(server, name),
    }
}

impl Decisions {
    fn find(&self, thing: &Thing<'_>) -> Option<bool> {
        self.found.get(&kind(thing))?.get(thing.server())?.get(thing.name()).copied()
    }

    /// When it is full, everything is decided anew.
    fn remember(&mut self, thing: &Thing<'_>, allowed: bool) {
        let bytes = ENTRY + thing.server().len() + thing.name().len();
        if bytes > BYTES_PER_CALLER / 16 {
            return;
        }
        if self.bytes + bytes > BYTES_PER_CALLER {
            *self = Self::default();
        }
        let of_server =
            self.found.entry(kind(thing)).or_default().entry(thing.server().into()).or_default();
        if of_server.insert(thing.name().into(), allowed).is_none() {
            self.bytes += bytes;
        }
    }
}

fn kind(thing: &Thing<'_>) -> Kind {
    let read_only = matches!(thing, Thing::Tool { read_only: true, .. });
    (thing.action(), read_only)
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
        self.verdict(&Thing::Server(server), || self.scopes.server(server))
    }

    fn tool(&self, server: &ServerName, name: &str, read_only: bool) -> Verdict {
        self.verdict(&Thing::Tool { server, name, read_only }, || {
            self.scopes.tool(server, name, read_only)
        })
    }

    fn prompt(&self, server: &ServerName, name: &str) -> Verdict {
        self.verdict(&Thing::Prompt(server, name), || self.scopes.prompt(server, name))
    }

    fn resource(&self, server: &ServerName, uri: &str) -> Verdict {
        self.verdict(&Thing::Resource(server, uri), || self.scopes.resource(server, uri))
    }

    fn method(&self, server: &ServerName, method: &str) -> Verdict {
        self.verdict(&Thing::Method(server, method), || self.scopes.method(server, method))
    }

    fn asks_read_only(&self) -> bool {
        self.access.asks_read_only()
    }
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Access").field(&self.rules.load().policy).field(&self.disabled).finish()
    }
}

#[cfg(test)]
mod tests;
