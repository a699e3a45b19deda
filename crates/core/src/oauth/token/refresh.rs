//! The refresh token grant (RFC 6749 section 6, OAuth 2.1 section 4.3): is the token the client's own, still of use, and what it
//! is exchanged for. That it is exchanged once is the store's atomic step.

use crate::{
    client::GrantType,
    clock::Timestamp,
    entropy::Entropy,
    grant::Grant,
    ids::GrantId,
    lifetimes::Lifetimes,
    oauth::{ErrorCode, OAuthError, params::Params},
    resource::Resources,
    scope::ScopeSet,
    secret::{SecretText, TokenSecret},
    store::Rotation,
    token::FoundRefresh,
};

use super::{AuthenticatedClient, audience, invalid_grant, mint_access, mint_refresh};

/// A refresh request that may go ahead.
#[derive(Debug)]
pub struct Exchange {
    pub rotation: Rotation,
    pub access_secret: TokenSecret,
}

/// Why a refresh request goes no further.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RefreshRefused {
    Error(OAuthError),
    /// The token was used before and its grace window is over: revoke the whole grant, then answer `invalid_grant` (threat 17).
    Reuse(GrantId),
}

impl From<OAuthError> for RefreshRefused {
    fn from(error: OAuthError) -> Self {
        Self::Error(error)
    }
}

/// Checks a refresh request and prepares its rotation (RFC 6749 section 6, OAuth 2.1 section 4.3).
pub fn refresh(
    client: &AuthenticatedClient,
    form: &Params,
    found: Option<FoundRefresh>,
    resources: &Resources,
    now: Timestamp,
    lifetimes: &Lifetimes,
    entropy: &dyn Entropy,
) -> Result<Exchange, RefreshRefused> {
    if !client.client().may_use(GrantType::RefreshToken) {
        return Err(OAuthError::new(ErrorCode::UnauthorizedClient, "this client did not register for refresh_token").into());
    }
    let found = found.filter(|found| found.grant.client == client.client().id && found.grant.is_live(now));
    let found = found.ok_or_else(|| invalid_grant(REFRESH_REFUSED))?;
    let scopes = narrowed_scopes(form, &found.grant)?;
    let audience = audience(form, &found.grant.resources, &scopes, resources)?;
    if found.used_at.is_some_and(|used_at| now.since(used_at) >= lifetimes.refresh_grace) {
        return Err(RefreshRefused::Reuse(found.grant.id));
    }
    let (successor_secret, successor) = mint_refresh(&found.grant, now, lifetimes, entropy);
    let (access_secret, access) = mint_access(&found.grant, audience, now, lifetimes, entropy);
    let successor_secret = SecretText::new(successor_secret.expose());
    let rotation = Rotation { successor, successor_secret, access, now, grace: lifetimes.refresh_grace };
    Ok(Exchange { rotation, access_secret })
}

/// What every refused refresh token is told, so that nobody learns which it was.
pub const REFRESH_REFUSED: &str = "the refresh token is unknown, expired, revoked, used before, or another client's";

/// The answer for a refused refresh token.
pub fn refresh_refused() -> OAuthError {
    invalid_grant(REFRESH_REFUSED)
}

/// The answer about a person who may not sign in any more. Only the client whose token it is gets so far.
pub fn not_admitted() -> OAuthError {
    invalid_grant("the person may not sign in at this gateway any more")
}

fn narrowed_scopes(form: &Params, grant: &Grant) -> Result<ScopeSet, OAuthError> {
    let bad = |description: String| OAuthError::new(ErrorCode::InvalidScope, description);
    let Some(asked) = form.find("scope") else { return Ok(grant.scopes.clone()) };
    let asked = ScopeSet::parse(asked).map_err(|reason| bad(reason.to_string()))?;
    if asked.is_empty() || !asked.is_subset(&grant.scopes) {
        return Err(bad(format!("scope must be within what was granted: {}", grant.scopes)));
    }
    Ok(asked)
}

#[cfg(test)]
mod tests;
