//! What should be true of the lives in [`super`]: of clients, consents, codes, grants and tokens.
//! Times are seconds since a life began.

use std::collections::BTreeSet;

use portunus_core::ids::GrantId;
use portunus_testkit::agent::{Authorization, OAuthClient};

/// Lifetimes of the gateway by default, in seconds.
pub(super) const CODE: i64 = 5 * 60;
pub(super) const ACCESS: i64 = 60 * 60;
pub(super) const REFRESH: i64 = 30 * DAY;
pub(super) const LOGIN: i64 = 7 * DAY;
/// A used refresh token is answered for so long where its client is, which is everywhere in these
/// lives.
const REUSE: i64 = DAY;
const DAY: i64 = 24 * 60 * 60;

/// The resources.
pub(super) const PATHS: [&str; 3] = ["/mcp", "/mcp/uuid", "/mcp/dice"];
/// What may be asked for on each; nothing is `mcp`.
pub(super) const SCOPES: [[&str; 5]; 3] = [
    ["", "mcp", "uuid", "dice", "dice uuid"],
    ["", "mcp", "uuid", "uuid", "mcp uuid"],
    ["", "mcp", "dice", "dice", "dice mcp"],
];

#[derive(Default)]
pub(super) struct Model {
    pub(super) now: i64,
    /// When the browser's login ends, if there ever was one.
    login: Option<i64>,
    pub(super) clients: Vec<Registered>,
    pub(super) codes: Vec<Code>,
    pub(super) grants: Vec<Grant>,
    pub(super) access: Vec<Access>,
    pub(super) refresh: Vec<Refresh>,
}

pub(super) struct Registered {
    pub(super) client: OAuthClient,
    /// What the person allowed it, by resource.
    pub(super) allowed: [BTreeSet<&'static str>; PATHS.len()],
}

pub(super) struct Code {
    pub(super) client: usize,
    pub(super) authorization: Authorization,
    pub(super) path: usize,
    pub(super) scope: &'static str,
    pub(super) text: String,
    pub(super) expires: i64,
    pub(super) grant: Option<usize>,
}

pub(super) struct Grant {
    pub(super) id: GrantId,
    pub(super) client: usize,
    pub(super) path: usize,
    pub(super) scope: &'static str,
    pub(super) is_revoked: bool,
}

pub(super) struct Access {
    pub(super) text: String,
    pub(super) grant: usize,
    pub(super) scope: &'static str,
    pub(super) expires: i64,
    /// By itself, whatever becomes of its grant.
    pub(super) is_revoked: bool,
}

pub(super) struct Refresh {
    pub(super) text: String,
    pub(super) grant: usize,
    pub(super) expires: i64,
    /// When it was exchanged.
    pub(super) used: Option<i64>,
}

/// The scopes that a request names.
fn words(scope: &'static str) -> impl Iterator<Item = &'static str> {
    let scope = if scope.is_empty() { "mcp" } else { scope };
    scope.split(' ')
}

/// `mcp` covers whatever there is; a server's own scope that server alone.
fn covers(mut held: impl Iterator<Item = &'static str>, wanted: &str) -> bool {
    held.any(|scope| scope == "mcp" || scope == wanted)
}

/// What a token for these scopes on one resource is answered at each place: refused where it is not
/// for, and where its scopes do not reach.
pub(super) fn answers_at(
    own: &str,
    scope: &'static str,
    is_live: bool,
) -> Vec<(&'static str, u16)> {
    let mut places: Vec<_> =
        PATHS.iter().map(|path| (*path, if is_live && *path == own { 400 } else { 401 })).collect();
    if own == "/mcp" {
        for (place, server) in
            [("/mcp?server_name=uuid", "uuid"), ("/mcp?server_name=dice", "dice")]
        {
            let reached = if covers(words(scope), server) { 400 } else { 403 };
            places.push((place, if is_live { reached } else { 401 }));
        }
    }
    places
}

impl Registered {
    pub(super) fn is_allowed(&self, path: usize, scope: &'static str) -> bool {
        words(scope).all(|wanted| covers(self.allowed[path].iter().copied(), wanted))
    }
}

impl Model {
    pub(super) fn is_signed_in(&self) -> bool {
        self.login.is_some_and(|end| self.now < end)
    }

    /// The person signed in, if they had not, and this is remembered.
    pub(super) fn allowed(&mut self, client: usize, path: usize, scope: &'static str) {
        if !self.is_signed_in() {
            self.login = Some(self.now + LOGIN);
        }
        self.clients[client].allowed[path].extend(words(scope));
    }

    pub(super) fn begin_grant(
        &mut self,
        id: GrantId,
        client: usize,
        path: usize,
        scope: &'static str,
    ) -> usize {
        self.grants.push(Grant { id, client, path, scope, is_revoked: false });
        self.grants.len() - 1
    }

    pub(super) fn disconnected(&mut self, grant: usize) {
        let Grant { client, is_revoked, .. } = &mut self.grants[grant];
        *is_revoked = true;
        self.clients[*client].allowed = Default::default();
    }

    pub(super) fn is_live(&self, access: usize) -> bool {
        let Access { grant, expires, is_revoked, .. } = &self.access[access];
        !is_revoked && !self.grants[*grant].is_revoked && self.now < *expires
    }

    /// The current refresh token of a grant.
    pub(super) fn current(&self, grant: usize) -> usize {
        self.refresh
            .iter()
            .rposition(|refresh| refresh.grant == grant)
            .expect("a grant has a refresh token")
    }

    /// Is the family of a refresh token known, used or not: may its current one be used still?
    pub(super) fn is_known(&self, token: usize) -> bool {
        self.now < self.refresh[self.current(self.refresh[token].grant)].expires
    }

    /// A reuse after a day is refused, and ends the grant.
    pub(super) fn may_refresh(&mut self, token: usize) -> bool {
        let Refresh { grant, used, .. } = &self.refresh[token];
        let (grant, used) = (*grant, *used);
        let is_dead = !self.is_known(token) || self.grants[grant].is_revoked;
        let is_reuse = used.is_some_and(|at| self.now >= at + REUSE);
        self.grants[grant].is_revoked |= is_reuse && !is_dead;
        !is_dead && !is_reuse
    }
}
