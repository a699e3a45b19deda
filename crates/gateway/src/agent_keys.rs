//! Agent keys as they are made, listed, found and revoked, for commands and pages alike. The rules
//! are `portunus_core::agent_key`; a key is let through like any token, by
//! [`crate::edge::resource_server`].

use std::time::Duration;

use portunus_core::{
    Entropy, Timestamp,
    agent_key::{self, BadKey, KeyRequest, KeyTargets, NewKey},
    audit::Event,
    grant::Grant,
    ids::{ClientId, GrantId},
    lifetimes::Lifetimes,
    principal::User,
    resource::Resources,
    secret::{TokenKind, TokenSecret},
    store::{GrantStore, GrantsOf, StoreError},
};
use thiserror::Error;

/// Keys listed at most.
const LISTED: u32 = 10_000;
/// Characters that a key has to be called by at least: fewer fit too many.
const SHORTEST: usize = 4;

/// Makes keys, as the configuration allows them.
pub struct KeyMaker<'a> {
    pub grants: &'a dyn GrantStore,
    pub resources: &'a Resources,
    pub lifetimes: &'a Lifetimes,
    pub entropy: &'a dyn Entropy,
}

/// What is wanted of a key, beside its owner.
#[derive(Clone, Copy, Debug)]
pub struct Wish<'a> {
    pub name: &'a str,
    pub targets: KeyTargets<'a>,
    /// Without any: everything that the owner may use there.
    pub scopes: &'a [String],
    pub lifetime: Duration,
}

/// Why there is no key.
#[derive(Debug, Error)]
pub enum NoKey {
    #[error(transparent)]
    Bad(#[from] BadKey),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl KeyMaker<'_> {
    /// Makes a key and keeps it. The owner's record must be there; that they may sign in is for the
    /// caller to see, and is asked again at each use.
    pub async fn create(
        &self,
        owner: &User,
        wish: &Wish<'_>,
        now: Timestamp,
    ) -> Result<NewKey, NoKey> {
        let keys = list(self.grants, &GrantsOf::User(owner.id.clone())).await?;
        let request = KeyRequest {
            owner,
            name: wish.name,
            targets: wish.targets,
            scopes: wish.scopes,
            lifetime: wish.lifetime,
            existing: keys.iter().map(|key| u32::from(key.is_live(now))).sum(),
        };
        let new = agent_key::issue(&request, self.resources, now, self.lifetimes, self.entropy)?;
        self.grants.insert_grant(&new.grant, &new.access).await?;
        Ok(new)
    }
}

/// All keys there are.
pub fn all() -> GrantsOf {
    GrantsOf::Client(ClientId::agent_key())
}

/// These keys, newest first, as far as they are not revoked.
pub async fn list(grants: &dyn GrantStore, of: &GrantsOf) -> Result<Vec<Grant>, StoreError> {
    let mut keys = grants.list_grants(of, LISTED).await?;
    keys.retain(|grant| grant.key.is_some());
    Ok(keys)
}

/// The keys that the text names: an id, the first characters of one, or a whole key.
pub async fn find(
    grants: &dyn GrantStore,
    called: &str,
    now: Timestamp,
) -> Result<Vec<Grant>, StoreError> {
    if let Some(key) = TokenSecret::parse(TokenKind::AgentKey, called) {
        let found = grants.find_access(&key.hash(), now).await?;
        return Ok(found.map(|found| found.grant).into_iter().collect());
    }
    let by_id = grants.find_grant(&GrantId::from_text(called)).await?;
    if let Some(key) = by_id.filter(|grant| grant.key.is_some()) {
        return Ok(vec![key]);
    }
    let first = called.trim_end_matches('…');
    if first.len() < TokenKind::AgentKey.prefix().len() + SHORTEST {
        return Ok(Vec::new());
    }
    let mut keys = list(grants, &all()).await?;
    keys.retain(|grant| grant.key.as_ref().is_some_and(|key| key.shown.starts_with(first)));
    Ok(keys)
}

/// What the audit trail is told of a new key.
pub fn created(grant: &Grant) -> Event {
    Event::KeyCreated {
        name: grant.key.as_ref().map(|key| key.name.clone()).unwrap_or_default(),
        scopes: grant.scopes.to_string(),
        resources: grant.resources.to_string(),
        expires_at: grant.expires_at.unwrap_or(grant.created_at),
    }
}
