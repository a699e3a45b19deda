//! What the grants of the token endpoint share: which resource a token is for, how it is made, and
//! the answer that carries it.

use serde::Serialize;

use crate::{
    clock::Timestamp,
    entropy::Entropy,
    grant::Grant,
    lifetimes::Lifetimes,
    oauth::{ErrorCode, OAuthError, params::Params},
    resource::{Resource, ResourceSet, Resources},
    scope::ScopeSet,
    secret::{SecretText, TokenKind, TokenSecret},
    token::AccessToken,
};

pub(super) fn invalid_grant(description: &str) -> OAuthError {
    OAuthError::new(ErrorCode::InvalidGrant, description)
}

/// The one resource that a grant without a consent is for; `/mcp` if none is named (RFC 8707
/// section 2).
pub(super) fn one_resource(form: &Params, resources: &Resources) -> Result<Resource, OAuthError> {
    let mut named = form.resources();
    let Some(first) = named.next() else { return Ok(resources.root()) };
    let unknown =
        |_| OAuthError::new(ErrorCode::InvalidTarget, "resource is not one of this gateway's");
    let resource = resources.parse(first).map_err(unknown)?;
    for other in named {
        if resources.parse(other).map_err(unknown)? != resource {
            return Err(OAuthError::new(
                ErrorCode::InvalidTarget,
                "a token is for one resource: name just one",
            ));
        }
    }
    Ok(resource)
}

/// What one access token is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Audience {
    pub resource: Resource,
    pub scopes: ScopeSet,
}

/// The one resource of its grant that a token is for, and what of `scopes` means something there. A
/// `resource` at the token endpoint must name one of the grant's own (RFC 8707 section 2.2, threat
/// 30); without one it is the `unnamed`, if there is such a one.
pub(super) fn audience(
    form: &Params,
    granted: &ResourceSet,
    scopes: &ScopeSet,
    unnamed: Option<&Resource>,
    resources: &Resources,
) -> Result<Audience, OAuthError> {
    let bad = |description| OAuthError::new(ErrorCode::InvalidTarget, description);
    let mut named = None;
    for text in form.resources() {
        let resource = resources.parse(text).ok().filter(|resource| granted.contains(resource));
        let resource = resource.ok_or_else(|| bad("resource is not one that this grant is for"))?;
        if named.as_ref().is_some_and(|earlier| *earlier != resource) {
            return Err(bad("a token is for one resource: name just one"));
        }
        named = Some(resource);
    }
    let resource = named.or_else(|| unnamed.cloned()).ok_or_else(|| {
        bad("this grant is for several resources: name the one that the token is for")
    })?;
    if granted.only().is_some() {
        return Ok(Audience { resource, scopes: scopes.clone() });
    }
    let scopes = scopes.intersection(&resources.scopes(&resource));
    if scopes.gives_access() {
        return Ok(Audience { resource, scopes });
    }
    Err(OAuthError::new(
        ErrorCode::InvalidScope,
        "none of these scopes means anything on this resource",
    ))
}

/// When tokens are issued, for how long, and by which chance.
#[derive(Clone, Copy)]
pub struct Issuing<'a> {
    pub now: Timestamp,
    pub lifetimes: &'a Lifetimes,
    pub entropy: &'a dyn Entropy,
}

/// An access token that belongs to no family of refresh tokens.
pub(super) fn mint_access(
    grant: &Grant,
    audience: Audience,
    issuing: &Issuing<'_>,
) -> (TokenSecret, AccessToken) {
    let secret = TokenSecret::generate(TokenKind::Access, issuing.entropy);
    let token = AccessToken {
        hash: secret.hash(),
        grant: grant.id.clone(),
        resource: audience.resource,
        scopes: audience.scopes,
        expires_at: grant.token_end(issuing.now, issuing.lifetimes.access_token),
    };
    (secret, token)
}

/// A successful answer (RFC 6749 section 5.1). Its Debug output shows no token.
#[derive(Clone, Debug, Serialize)]
pub struct TokenResponse {
    access_token: SecretText,
    token_type: &'static str,
    /// Seconds.
    expires_in: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<SecretText>,
    scope: String,
}

impl TokenResponse {
    pub fn new(
        access_secret: &TokenSecret,
        refresh: Option<&str>,
        access: &AccessToken,
        now: Timestamp,
    ) -> Self {
        Self {
            access_token: SecretText::new(access_secret.expose()),
            token_type: "Bearer",
            expires_in: access.expires_at.since(now).as_secs(),
            refresh_token: refresh.map(SecretText::new),
            scope: access.scopes.to_string(),
        }
    }
}
