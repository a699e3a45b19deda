//! The authorization code grant (RFC 6749 section 4.1.3, OAuth 2.1): is the code the client's own,
//! and what it becomes. That a code is redeemed once is the store's atomic step.

use std::net::IpAddr;

use crate::{
    client::GrantType,
    grant::Grant,
    ids::GrantId,
    oauth::{ErrorCode, OAuthError, params::Params},
    refresh::RefreshFamily,
    resource::Resources,
    token::{AccessToken, FoundCode},
};

use super::{
    authenticate::AuthenticatedClient,
    issuing::{Audience, Issuing, TokenResponse, audience, invalid_grant, mint_access},
};

/// Is the code this client's, for this redirect URI, with this verifier? Says nothing of a second
/// use: that is [`redeem`]'s and the store's. A request that fails here changes nothing (threat
/// 15).
pub fn check_code(
    client: &AuthenticatedClient,
    form: &Params,
    found: Option<FoundCode>,
    resources: &Resources,
) -> Result<CheckedCode, OAuthError> {
    if !client.client().may_use(GrantType::AuthorizationCode) {
        return Err(OAuthError::new(
            ErrorCode::UnauthorizedClient,
            "this client may not use authorization_code",
        ));
    }
    let found = found.filter(|found| found.code.client == client.client().id);
    let found =
        found.ok_or_else(|| invalid_grant("the code is unknown, expired, or another client's"))?;
    let code = &found.code;
    // OAuth 2.1 dropped redirect_uri from this request; a client that sends it must send the same
    // one (threat 4).
    if form.find("redirect_uri").is_some_and(|presented| presented != code.redirect_uri.as_str()) {
        return Err(invalid_grant("redirect_uri is not the one of the authorization request"));
    }
    let verifier = form.require("code_verifier")?;
    if !code.code_challenge.admits(verifier) {
        return Err(invalid_grant("code_verifier does not fit the code_challenge"));
    }
    let audience = audience(form, &code.resources, &code.scopes, code.resources.only(), resources)?;
    Ok(CheckedCode { found, audience })
}

/// A code that is sound, and what its first access token is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckedCode {
    pub found: FoundCode,
    audience: Audience,
}

/// What to write and answer when a code is redeemed for the first time.
#[derive(Debug)]
pub struct Redemption {
    pub grant: Grant,
    pub access: AccessToken,
    pub refresh: Option<RefreshFamily>,
    pub answer: TokenResponse,
}

/// Turns a checked code into a grant with its tokens. A refresh token only for clients that
/// registered for it.
pub fn redeem(
    client: &AuthenticatedClient,
    checked: &CheckedCode,
    address: Option<IpAddr>,
    issuing: &Issuing<'_>,
) -> Redemption {
    let Issuing { now, lifetimes, entropy } = *issuing;
    let code = &checked.found.code;
    let grant = Grant {
        id: GrantId::generate(entropy),
        user: code.user.clone(),
        client: code.client.clone(),
        application: client.client().application(),
        resources: code.resources.clone(),
        scopes: code.scopes.clone(),
        login: code.login,
        created_at: now,
        expires_at: Some(now + lifetimes.grant),
        revoked_at: None,
        key: None,
    };
    let audience = &checked.audience;
    let mut family = client
        .client()
        .may_use(GrantType::RefreshToken)
        .then(|| RefreshFamily::begin(&grant, address, now, lifetimes, entropy));
    let (secret, access) = match &mut family {
        Some(family) => family.issue(&grant, &audience.resource, &audience.scopes, issuing),
        None => mint_access(&grant, audience.clone(), issuing),
    };
    let refresh = family.as_ref().map(RefreshFamily::token);
    let answer = TokenResponse::new(
        &secret,
        refresh.as_ref().map(crate::secret::TokenSecret::expose),
        &access,
        now,
    );
    Redemption { access, refresh: family, answer, grant }
}

/// The answer for a code that was redeemed before (threat 15).
pub fn code_replayed() -> OAuthError {
    invalid_grant("the code was used before; everything issued for it is revoked")
}

#[cfg(test)]
mod tests;
