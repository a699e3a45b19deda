//! The introspection endpoint (RFC 7662): what a token is, for the client that owns it or one that
//! the configuration trusts. Every other client, and any client about a token that is of no use,
//! gets `{"active": false}` and never why (section 2.2).

use serde::Serialize;

use super::{ErrorCode, OAuthError, token::AuthenticatedClient};
use crate::{
    clock::Timestamp,
    grant::Grant,
    principal::User,
    refresh::{FoundRefresh, PresentedRefresh, RefreshStatus},
    resource::{PublicUrl, ResourceSet},
    scope::ScopeSet,
    token::FoundAccess,
};

/// The answer.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Introspection {
    active: bool,
    #[serde(flatten)]
    about: Option<About>,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
struct About {
    scope: String,
    client_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    username: Option<String>,
    /// Of access tokens only: a refresh token is used with no scheme.
    #[serde(skip_serializing_if = "Option::is_none")]
    token_type: Option<&'static str>,
    exp: i64,
    sub: String,
    aud: ResourceSet,
    iss: String,
}

impl Introspection {
    pub const INACTIVE: Self = Self { active: false, about: None };
}

/// Who may ask at all: a client that has proven itself with more than its id (section 2.1).
pub fn check_client(client: &AuthenticatedClient) -> Result<(), OAuthError> {
    if client.is_confidential() {
        return Ok(());
    }
    Err(OAuthError::new(
        ErrorCode::InvalidClient,
        "only clients that authenticate with a secret or a key may introspect tokens",
    ))
}

pub fn of_access(
    client: &AuthenticatedClient,
    found: Option<FoundAccess>,
    now: Timestamp,
    issuer: &PublicUrl,
) -> Introspection {
    let Some(found) = found else { return Introspection::INACTIVE };
    let audience = found.audience();
    let FoundAccess { token, grant, user } = found;
    if !may_see(client, &grant) || !grant.is_live(now) || token.expires_at <= now {
        return Introspection::INACTIVE;
    }
    let about = about(&grant, &token.scopes, audience, token.expires_at, issuer);
    about_user(About { token_type: Some("Bearer"), ..about }, Some(&user))
}

/// `user` is the grant's.
pub fn of_refresh(
    client: &AuthenticatedClient,
    (presented, found): (&PresentedRefresh, Option<FoundRefresh>),
    user: Option<&User>,
    now: Timestamp,
    issuer: &PublicUrl,
) -> Introspection {
    let found = found.filter(|found| {
        found.status(presented) == RefreshStatus::Current && found.expires_at() > now
    });
    let Some(found) = found else { return Introspection::INACTIVE };
    let grant = &found.grant;
    if !may_see(client, grant) || !grant.is_live(now) {
        return Introspection::INACTIVE;
    }
    about_user(
        about(grant, &grant.scopes, grant.resources.clone(), found.expires_at(), issuer),
        user,
    )
}

fn may_see(client: &AuthenticatedClient, grant: &Grant) -> bool {
    let client = client.client();
    client.trusted || grant.client == client.id
}

fn about(
    grant: &Grant,
    scopes: &ScopeSet,
    audience: ResourceSet,
    expires_at: Timestamp,
    issuer: &PublicUrl,
) -> About {
    About {
        scope: scopes.to_string(),
        client_id: grant.client.to_string(),
        username: None,
        token_type: None,
        exp: expires_at.as_secs(),
        sub: grant.user.to_string(),
        aud: audience,
        iss: issuer.to_string(),
    }
}

fn about_user(about: About, user: Option<&User>) -> Introspection {
    let username = user.map(|user| user.display_name().to_owned());
    Introspection { active: true, about: Some(About { username, ..about }) }
}

#[cfg(test)]
mod tests;
