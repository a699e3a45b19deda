//! The refresh token grant (RFC 6749 section 6, OAuth 2.1 section 4.3): is the token the client's
//! own, of which generation is it, and what is it exchanged for. What a token proves is in
//! [`crate::refresh`]; that it is exchanged once is the store's atomic step.

use std::{net::IpAddr, time::Duration};

use super::{
    authenticate::AuthenticatedClient,
    issuing::{Audience, Issuing, TokenResponse, audience, invalid_grant},
};
use crate::{
    client::GrantType,
    clock::Timestamp,
    grant::Grant,
    ids::GrantId,
    lifetimes::Lifetimes,
    oauth::{ErrorCode, OAuthError, params::Params},
    refresh::{FoundRefresh, PresentedRefresh, RefreshFamily, RefreshStatus},
    resource::{Resource, Resources},
    scope::{Scope, ScopeSet},
    secret::TokenHash,
    store::FamilyChange,
    token::AccessToken,
};

/// What a refresh token's use is: each is logged as what it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Usage {
    /// The current token: it is exchanged.
    First,
    /// A used one, within the grace window: wherever it comes from it gets the current pair.
    Grace { generations: u32 },
    /// A used one from the address of the family's latest rotation, within `refresh_reuse`: it gets
    /// the current pair (FB16).
    SameAddress { generations: u32 },
}

/// Why a used token that came back ends its family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reuse {
    Elsewhere {
        generations: u32,
    },
    /// From the right address, but too long after its use.
    TooLate {
        generations: u32,
    },
}

/// May a token of this status be used, so long after its use? `None` for one that proves nothing;
/// an error for a reuse that ends the family (threat 17).
pub fn judge(
    status: RefreshStatus,
    same_address: bool,
    now: Timestamp,
    lifetimes: &Lifetimes,
) -> Option<Result<Usage, Reuse>> {
    let (generations, at) = match status {
        RefreshStatus::Unknown => return None,
        RefreshStatus::Current => return Some(Ok(Usage::First)),
        RefreshStatus::Used { generations, at } => (generations, at),
    };
    let within = |window: Duration| at.is_some_and(|at| now.since(at) < window);
    Some(if within(lifetimes.refresh_grace) {
        Ok(Usage::Grace { generations })
    } else if !same_address {
        Err(Reuse::Elsewhere { generations })
    } else if lifetimes.refresh_reuse.is_some_and(within) {
        Ok(Usage::SameAddress { generations })
    } else {
        Err(Reuse::TooLate { generations })
    })
}

/// A refresh request with what the store knows of its token.
#[derive(Clone, Copy)]
pub struct RefreshRequest<'a> {
    pub client: &'a AuthenticatedClient,
    pub form: &'a Params,
    pub presented: &'a PresentedRefresh,
    pub found: Option<&'a FoundRefresh>,
    /// Where it comes from, if that is known.
    pub address: Option<IpAddr>,
    /// Access tokens of the current pair that turned out to be revoked.
    pub dead: &'a [TokenHash],
}

/// A refresh request that may go ahead.
#[derive(Debug)]
pub struct Exchange {
    pub usage: Usage,
    pub grant: GrantId,
    /// The access token of the answer.
    pub access: AccessToken,
    /// What has to be written before anything is answered; `None` if the current pair is handed out
    /// as it is.
    pub change: Option<FamilyChange>,
    pub answer: TokenResponse,
}

/// Why a refresh request goes no further.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RefreshRefused {
    Error(OAuthError),
    /// A used token came back that may not: revoke the whole grant, then answer `invalid_grant`
    /// (threat 17).
    Reuse(GrantId, Reuse),
}

impl From<OAuthError> for RefreshRefused {
    fn from(error: OAuthError) -> Self {
        Self::Error(error)
    }
}

/// Checks a refresh request and prepares what is written and answered.
pub fn refresh(
    request: RefreshRequest<'_>,
    resources: &Resources,
    issuing: &Issuing<'_>,
) -> Result<Exchange, RefreshRefused> {
    let RefreshRequest { client, form, presented, found, address, dead } = request;
    let Issuing { now, lifetimes, .. } = *issuing;
    if !client.client().may_use(GrantType::RefreshToken) {
        return Err(OAuthError::new(
            ErrorCode::UnauthorizedClient,
            "this client did not register for refresh_token",
        )
        .into());
    }
    let refused = || invalid_grant(REFRESH_REFUSED);
    let found =
        found.filter(|found| found.grant.client == client.client().id && found.grant.is_live(now));
    let found = found.filter(|found| found.expires_at() > now).ok_or_else(refused)?;
    let (grant, before) = (&found.grant, found.family.as_ref());
    let same_address = before.is_some_and(|family| family.is_from(address));
    let usage = judge(found.status(presented), same_address, now, lifetimes).ok_or_else(refused)?;
    let usage = usage.map_err(|reuse| RefreshRefused::Reuse(grant.id.clone(), reuse))?;
    let audience = refreshed_audience(form, grant, before, resources)?;
    let current = match usage {
        Usage::First => None,
        Usage::Grace { .. } | Usage::SameAddress { .. } => before,
    };
    let kept = current.and_then(|family| {
        let (secret, access) =
            family.current_access(&audience.resource, &audience.scopes, now, lifetimes)?;
        (!dead.contains(&access.hash)).then_some((family, secret, access))
    });
    if let Some((family, secret, access)) = kept {
        let answer = TokenResponse::new(&secret, Some(family.token().expose()), &access, now);
        return Ok(Exchange { usage, grant: grant.id.clone(), access, change: None, answer });
    }
    let mut after = match (current, before) {
        (Some(current), _) => current.clone(),
        (None, Some(before)) => {
            before.rotated(grant, address, now, lifetimes).ok_or_else(refused)?
        }
        // A token of before there were families: what it is exchanged for is the first token of
        // one.
        (None, None) => {
            let begun = RefreshFamily::begin(grant, address, now, lifetimes, issuing.entropy);
            begun.rotated(grant, address, now, lifetimes).ok_or_else(refused)?
        }
    };
    let (secret, access) = after.issue(grant, &audience.resource, &audience.scopes, issuing);
    let answer = TokenResponse::new(&secret, Some(after.token().expose()), &access, now);
    let change = FamilyChange { before: before.cloned(), after, access: access.clone(), now };
    Ok(Exchange { usage, grant: grant.id.clone(), access, change: Some(change), answer })
}

/// What every refused refresh token is told, so that nothing is learnt of which it was.
pub const REFRESH_REFUSED: &str =
    "the refresh token is unknown, expired, revoked, used before, or another client's";

/// The answer for a refused refresh token.
pub fn refresh_refused() -> OAuthError {
    invalid_grant(REFRESH_REFUSED)
}

/// The answer about a person who may not sign in any more. Only the client whose token it is gets
/// so far.
pub fn not_admitted() -> OAuthError {
    invalid_grant("the person may not sign in at this gateway any more")
}

/// The answer about a person of whom nothing new was read for too long (`lifetimes.groups`).
pub fn described_too_long_ago() -> OAuthError {
    invalid_grant("the person must sign in again: what their identity provider said is too old")
}

/// What the new access token is for. Without a `resource` it is for what the last one was for.
fn refreshed_audience(
    form: &Params,
    grant: &Grant,
    family: Option<&RefreshFamily>,
    resources: &Resources,
) -> Result<Audience, OAuthError> {
    let last = family.and_then(|family| family.last_resource(grant.resources.iter()));
    let resource = last.or_else(|| grant.resources.iter().next());
    let whole = audience(form, &grant.resources, &grant.scopes, resource, resources)?;
    let asked = form.find("scope").map(|asked| left_of(asked, &whole, resources));
    let scopes = asked.filter(ScopeSet::gives_access).unwrap_or(whole.scopes);
    Ok(Audience { resource: whole.resource, scopes })
}

/// What of the scopes that are asked for was granted: the others are left out, for clients repeat
/// what they asked for at first (FB11), and the answer tells them what they have. Never more than
/// the grant (RFC 6749 section 6).
fn left_of(asked: &str, granted: &Audience, resources: &Resources) -> ScopeSet {
    let asked: ScopeSet =
        asked.split_ascii_whitespace().filter_map(|word| Scope::parse(word).ok()).collect();
    resources.catalogue().within(&asked, &granted.scopes).intersection(&available(
        &granted.resource,
        &granted.scopes,
        resources,
    ))
}

/// What means something on the resource, and what was granted though it does not (any more).
fn available(resource: &Resource, granted: &ScopeSet, resources: &Resources) -> ScopeSet {
    resources.scopes(resource).union(granted)
}

#[cfg(test)]
mod tests;
