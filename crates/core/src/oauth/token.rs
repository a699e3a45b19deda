//! The token endpoint (RFC 6749 sections 3.2, 4.1.3, 6; OAuth 2.1): who is the client, is the code or refresh token its own,
//! and what to write. The atomic steps themselves are the store's ([`crate::store::GrantStore`]).

use serde::Serialize;

use crate::{
    client::{Client, ClientAuthMethod, GrantType},
    clock::Timestamp,
    entropy::Entropy,
    grant::Grant,
    ids::GrantId,
    lifetimes::Lifetimes,
    oauth::{ErrorCode, OAuthError, params::Params},
    resource::{Resource, Resources},
    scope::ScopeSet,
    secret::{SecretText, TokenKind, TokenSecret},
    store::Rotation,
    token::{AccessToken, AuthorizationCode, FoundCode, FoundRefresh, RefreshToken},
};

/// What a client presented to prove itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientCredentials {
    pub client_id: String,
    pub secret: Option<SecretText>,
    pub method: ClientAuthMethod,
}

/// A client that has proven itself the way it registered. Only [`authenticate`] makes one.
#[derive(Debug)]
pub struct AuthenticatedClient<'a>(&'a Client);

impl AuthenticatedClient<'_> {
    pub fn client(&self) -> &Client {
        self.0
    }
}

/// Reads the credentials of a token request: an `Authorization: Basic` header already decoded, or the form. Both at once are
/// refused (RFC 6749 section 2.3).
pub fn credentials(basic: Option<(String, SecretText)>, form: &Params) -> Result<ClientCredentials, OAuthError> {
    let in_form = form.find("client_id");
    let secret_in_form = form.find("client_secret");
    match (basic, in_form, secret_in_form) {
        (Some(_), _, Some(_)) => {
            Err(OAuthError::new(ErrorCode::InvalidRequest, "send client credentials in the header or in the body, not in both"))
        }
        (Some((id, _)), Some(other), None) if id != other => {
            Err(OAuthError::new(ErrorCode::InvalidRequest, "client_id in the header and in the body differ"))
        }
        (Some((client_id, secret)), _, None) => {
            Ok(ClientCredentials { client_id, secret: Some(secret), method: ClientAuthMethod::ClientSecretBasic })
        }
        (None, Some(id), Some(secret)) => Ok(ClientCredentials {
            client_id: id.to_owned(),
            secret: Some(SecretText::new(secret)),
            method: ClientAuthMethod::ClientSecretPost,
        }),
        (None, Some(id), None) => {
            Ok(ClientCredentials { client_id: id.to_owned(), secret: None, method: ClientAuthMethod::None })
        }
        (None, None, _) => Err(OAuthError::new(ErrorCode::InvalidClient, "client_id is required")),
    }
}

/// Proves the client: by the very method it registered, its secret compared in constant time.
pub fn authenticate<'a>(
    client: Option<&'a Client>,
    presented: &ClientCredentials,
) -> Result<AuthenticatedClient<'a>, OAuthError> {
    let refused = || OAuthError::new(ErrorCode::InvalidClient, "the client is unknown, or did not authenticate as it registered");
    let client = client.ok_or_else(refused)?;
    let proven = match (client.auth_method, presented.method, &client.secret, &presented.secret) {
        (ClientAuthMethod::None, ClientAuthMethod::None, _, None) => true,
        (registered, used, Some(hash), Some(secret)) if registered == used => hash.matches(secret.expose()),
        _ => false,
    };
    if proven { Ok(AuthenticatedClient(client)) } else { Err(refused()) }
}

fn invalid_grant(description: &str) -> OAuthError {
    OAuthError::new(ErrorCode::InvalidGrant, description)
}

/// A `resource` at the token endpoint must name the grant's own (RFC 8707 section 2.2, threat 30).
fn check_resource(form: &Params, granted: &Resource, resources: &Resources) -> Result<(), OAuthError> {
    let same = |named: &str| resources.parse(named).is_ok_and(|resource| resource == *granted);
    if form.resources().all(same) {
        Ok(())
    } else {
        Err(OAuthError::new(ErrorCode::InvalidTarget, "resource is not the one this grant is for"))
    }
}

/// Is the code this client's, for this redirect URI, with this verifier? Says nothing of a second use: that is [`redeem`]'s
/// and the store's. A request that fails here changes nothing (threat 15).
pub fn check_code(
    client: &AuthenticatedClient<'_>,
    form: &Params,
    found: Option<FoundCode>,
    resources: &Resources,
) -> Result<FoundCode, OAuthError> {
    if !client.0.may_use(GrantType::AuthorizationCode) {
        return Err(OAuthError::new(ErrorCode::UnauthorizedClient, "this client may not use authorization_code"));
    }
    let found = found.filter(|found| found.code.client == client.0.id);
    let found = found.ok_or_else(|| invalid_grant("the code is unknown, expired, or another client's"))?;
    let code = &found.code;
    // OAuth 2.1 dropped redirect_uri from this request; a client that sends it must send the same one (threat 4).
    if form.find("redirect_uri").is_some_and(|presented| presented != code.redirect_uri.as_str()) {
        return Err(invalid_grant("redirect_uri is not the one of the authorization request"));
    }
    let verifier = form.require("code_verifier")?;
    if !code.code_challenge.admits(verifier) {
        return Err(invalid_grant("code_verifier does not fit the code_challenge"));
    }
    check_resource(form, &code.resource, resources)?;
    Ok(found)
}

/// What to write and answer when a code is redeemed for the first time.
#[derive(Debug)]
pub struct Redemption {
    pub grant: Grant,
    pub access: AccessToken,
    pub refresh: Option<RefreshToken>,
    pub answer: TokenResponse,
}

/// Turns a checked code into a grant with its tokens. A refresh token only for clients that registered for it.
pub fn redeem(
    client: &AuthenticatedClient<'_>,
    code: &AuthorizationCode,
    now: Timestamp,
    lifetimes: &Lifetimes,
    entropy: &dyn Entropy,
) -> Redemption {
    let grant = Grant {
        id: GrantId::generate(entropy),
        user: code.user.clone(),
        client: code.client.clone(),
        resource: code.resource.clone(),
        scopes: code.scopes.clone(),
        login: code.login,
        created_at: now,
        revoked_at: None,
    };
    let (access_secret, access) = mint_access(&grant, grant.scopes.clone(), now, lifetimes, entropy);
    let refresh = client.0.may_use(GrantType::RefreshToken).then(|| mint_refresh(&grant.id, now, lifetimes, entropy));
    let answer = TokenResponse::new(&access_secret, refresh.as_ref().map(|(secret, _)| secret.expose()), &access, now);
    Redemption { access, refresh: refresh.map(|(_, token)| token), answer, grant }
}

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
    client: &AuthenticatedClient<'_>,
    form: &Params,
    found: Option<FoundRefresh>,
    resources: &Resources,
    now: Timestamp,
    lifetimes: &Lifetimes,
    entropy: &dyn Entropy,
) -> Result<Exchange, RefreshRefused> {
    if !client.0.may_use(GrantType::RefreshToken) {
        return Err(OAuthError::new(ErrorCode::UnauthorizedClient, "this client did not register for refresh_token").into());
    }
    let found = found.filter(|found| found.grant.client == client.0.id && found.grant.is_live());
    let found = found.ok_or_else(|| invalid_grant(REFRESH_REFUSED))?;
    check_resource(form, &found.grant.resource, resources)?;
    let scopes = narrowed_scopes(form, &found.grant)?;
    if found.used_at.is_some_and(|used_at| now.since(used_at) > lifetimes.refresh_grace) {
        return Err(RefreshRefused::Reuse(found.grant.id));
    }
    let (successor_secret, successor) = mint_refresh(&found.grant.id, now, lifetimes, entropy);
    let (access_secret, access) = mint_access(&found.grant, scopes, now, lifetimes, entropy);
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

/// The answer for a code that was redeemed before (threat 15).
pub fn code_replayed() -> OAuthError {
    invalid_grant("the code was used before; everything issued for it is revoked")
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

fn mint_access(
    grant: &Grant,
    scopes: ScopeSet,
    now: Timestamp,
    lifetimes: &Lifetimes,
    entropy: &dyn Entropy,
) -> (TokenSecret, AccessToken) {
    let secret = TokenSecret::generate(TokenKind::Access, entropy);
    let token = AccessToken { hash: secret.hash(), grant: grant.id.clone(), scopes, expires_at: now + lifetimes.access_token };
    (secret, token)
}

fn mint_refresh(grant: &GrantId, now: Timestamp, lifetimes: &Lifetimes, entropy: &dyn Entropy) -> (TokenSecret, RefreshToken) {
    let secret = TokenSecret::generate(TokenKind::Refresh, entropy);
    let token = RefreshToken { hash: secret.hash(), grant: grant.clone(), expires_at: now + lifetimes.refresh_token };
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
    pub fn new(access_secret: &TokenSecret, refresh: Option<&str>, access: &AccessToken, now: Timestamp) -> Self {
        Self {
            access_token: SecretText::new(access_secret.expose()),
            token_type: "Bearer",
            expires_in: access.expires_at.since(now).as_secs(),
            refresh_token: refresh.map(SecretText::new),
            scope: access.scopes.to_string(),
        }
    }
}

#[cfg(test)]
mod tests;
