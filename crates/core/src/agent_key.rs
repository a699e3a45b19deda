//! Agent keys: bearer tokens for scripts and agents without a browser, made for a person who has
//! signed in. Here: how one is made ([`issue`]), and for how long its owner vouches for it
//! ([`check_owner`]). A key is a grant with one access token ([`crate::grant::Grant::key`]):
//! whatever ends grants ends it. What its client is called is in [`crate::ids`].

use std::time::Duration;

use thiserror::Error;

use crate::{
    clock::Timestamp,
    entropy::Entropy,
    grant::{Grant, KeyLabel},
    ids::{ClientId, GrantId},
    lifetimes::Lifetimes,
    oauth::token::service_issuer,
    principal::User,
    resource::{Resource, ResourceSet, Resources, Target},
    scope::{self, Scope, ScopeSet},
    secret::{TokenKind, TokenSecret},
    settings::quantity::show_duration,
    text::Label,
    token::AccessToken,
};

/// Keys that one person may have at once.
pub const MOST_PER_OWNER: u32 = 100;
/// Resources that one key may be for.
pub const MOST_RESOURCES: usize = 16;
/// Characters of a key that lists show, behind its prefix: 48 of its 256 bits.
const SHOWN: usize = 8;

/// What a key is for.
#[derive(Clone, Copy, Debug)]
pub enum KeyTargets<'a> {
    /// `/mcp`: all servers in one.
    All,
    /// Servers by their names, and proxied paths by their patterns.
    Named(&'a [String]),
}

/// A wish for a key.
#[derive(Clone, Copy, Debug)]
pub struct KeyRequest<'a> {
    pub owner: &'a User,
    pub name: &'a str,
    pub targets: KeyTargets<'a>,
    /// Without any: everything that the owner may use there.
    pub scopes: &'a [String],
    pub lifetime: Duration,
    /// Keys that the owner has.
    pub existing: u32,
}

/// A key that was made. Its secret is shown once, and what is kept is the grant and the token.
#[derive(Debug)]
pub struct NewKey {
    pub secret: TokenSecret,
    pub grant: Grant,
    pub access: AccessToken,
}

/// Why there is no key for the wish. The text says what to change.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum BadKey {
    #[error("a key needs a name with something to see in it, of 80 characters at most")]
    Name,
    #[error("say what the key is for: servers by name, or all of them")]
    NoServer,
    #[error(
        "{found:?} is no enabled server of mcp.json and no pattern of `proxies`; there are: {known}"
    )]
    UnknownServer { found: String, known: String },
    #[error(
        "a key is for {MOST_RESOURCES} servers at most: make another one, or one for all of them"
    )]
    TooManyServers,
    #[error("the scope {found:?} means nothing there; there are: {known}")]
    UnknownScope { found: String, known: String },
    #[error("none of the scopes means anything on {0}: add one that does, or leave it out")]
    NoScopeOn(Resource),
    #[error("a key lives from a minute to {}, by lifetimes.agent_key", show_duration(*most))]
    Lifetime { most: Duration },
    #[error(
        "the person has {MOST_PER_OWNER} keys, which is the most: revoke one that is not needed"
    )]
    TooMany,
    #[error("this is a client that acts for itself (client_credentials); keys are for people")]
    NoPerson,
}

/// Makes a key that is no wider than what there is. What its owner may use is asked at each use.
pub fn issue(
    request: &KeyRequest<'_>,
    resources: &Resources,
    now: Timestamp,
    lifetimes: &Lifetimes,
    entropy: &dyn Entropy,
) -> Result<NewKey, BadKey> {
    let KeyRequest { owner, lifetime, .. } = *request;
    let name = Label::new(request.name);
    if name.is_empty() || name.as_str().chars().count() > 80 {
        return Err(BadKey::Name);
    }
    if lifetime < SHORTEST || lifetime > lifetimes.agent_key {
        return Err(BadKey::Lifetime { most: lifetimes.agent_key });
    }
    if owner.issuer == service_issuer(resources.public_url()) {
        return Err(BadKey::NoPerson);
    }
    if request.existing >= MOST_PER_OWNER {
        return Err(BadKey::TooMany);
    }
    let targets = targets(request.targets, resources)?;
    let scopes = scopes(request.scopes, &targets, resources)?;
    let first = targets.iter().next().cloned().ok_or(BadKey::NoServer)?;
    let secret = TokenSecret::generate(TokenKind::AgentKey, entropy);
    let expires_at = now + lifetime;
    let grant = Grant {
        id: GrantId::generate(entropy),
        user: owner.id.clone(),
        client: ClientId::agent_key(),
        application: None,
        resources: targets,
        scopes: scopes.clone(),
        login: None,
        created_at: now,
        expires_at: Some(expires_at),
        revoked_at: None,
        key: Some(KeyLabel { name: name.as_str().to_owned(), shown: shown(&secret) }),
    };
    let access = AccessToken {
        hash: secret.hash(),
        grant: grant.id.clone(),
        resource: first,
        scopes,
        expires_at,
    };
    Ok(NewKey { secret, grant, access })
}

const SHORTEST: Duration = Duration::from_secs(60);

fn shown(secret: &TokenSecret) -> String {
    let length = TokenKind::AgentKey.prefix().len() + SHOWN;
    secret.expose().get(..length).unwrap_or_default().to_owned()
}

fn targets(wanted: KeyTargets<'_>, resources: &Resources) -> Result<ResourceSet, BadKey> {
    let KeyTargets::Named(names) = wanted else { return Ok(resources.root().into()) };
    let mut set: Option<ResourceSet> = None;
    for name in names {
        let resource = find_target(name, resources).ok_or_else(|| BadKey::UnknownServer {
            found: name.clone(),
            known: known_targets(resources),
        })?;
        match &mut set {
            Some(set) => set.insert(resource),
            None => set = Some(resource.into()),
        }
    }
    let set = set.ok_or(BadKey::NoServer)?;
    if set.iter().count() > MOST_RESOURCES { Err(BadKey::TooManyServers) } else { Ok(set) }
}

/// The resource of a server by its name, or of a proxied path by its pattern.
fn find_target(name: &str, resources: &Resources) -> Option<Resource> {
    resources.targets().find_map(|target| match target {
        Target::Server(server) if server.as_str() == name => Some(resources.of_server(server)),
        Target::Proxy { pattern } if pattern == name => {
            resources.parse(&resources.public_url().at(pattern)).ok()
        }
        Target::All | Target::Server(_) | Target::Proxy { .. } => None,
    })
}

fn known_targets(resources: &Resources) -> String {
    let names = resources.targets().filter_map(|target| match target {
        Target::Server(server) => Some(server.as_str()),
        Target::Proxy { pattern } => Some(pattern.as_str()),
        Target::All => None,
    });
    listed(names)
}

fn listed<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let mut names: Vec<_> = names.collect();
    names.sort_unstable();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

/// Each scope must mean something on one of the resources, and each resource needs one that does.
fn scopes(
    wanted: &[String],
    targets: &ResourceSet,
    resources: &Resources,
) -> Result<ScopeSet, BadKey> {
    let everything = [scope::MCP.to_owned()];
    let wanted = if wanted.is_empty() { &everything[..] } else { wanted };
    let on = |resource: &Resource| -> ScopeSet {
        let there = resources.scopes(resource);
        there.iter().filter(|scope| scope.as_str() != scope::OFFLINE_ACCESS).cloned().collect()
    };
    let there = targets.iter().fold(ScopeSet::default(), |all, one| all.union(&on(one)));
    let mut scopes = ScopeSet::default();
    for word in wanted.iter().flat_map(|text| text.split_ascii_whitespace()) {
        let scope = Scope::parse(word).ok().filter(|scope| there.contains(scope.as_str()));
        scopes.insert(scope.ok_or_else(|| BadKey::UnknownScope {
            found: word.to_owned(),
            known: listed(there.iter().map(Scope::as_str)),
        })?);
    }
    match targets.iter().find(|resource| scopes.intersection(&on(resource)).is_empty()) {
        Some(idle) => Err(BadKey::NoScopeOn(idle.clone())),
        None => Ok(scopes),
    }
}

/// The owner of a key has not signed in for so long that what is known of them, their groups above
/// all, is believed no longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error(
    "the owner of this key has to sign in at the gateway again: what is known of them is too old"
)]
pub struct OwnerMustSignIn;

/// May what is known of a key's owner still be believed? As long as with any other grant: after
/// `lifetimes.grant` a person has to sign in, whatever was refreshed in between.
pub fn check_owner(
    owner: &User,
    now: Timestamp,
    lifetimes: &Lifetimes,
) -> Result<(), OwnerMustSignIn> {
    if now < believed_until(owner, lifetimes) { Ok(()) } else { Err(OwnerMustSignIn) }
}

/// Until when the keys of a person work, if they do not sign in before.
pub fn believed_until(owner: &User, lifetimes: &Lifetimes) -> Timestamp {
    owner.signed_in_at + lifetimes.grant
}

#[cfg(test)]
mod tests;
