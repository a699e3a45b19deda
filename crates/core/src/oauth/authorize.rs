//! The authorization endpoint (RFC 6749 section 4.1.1, OAuth 2.1, RFC 8707): is the request sound.
//! What comes next is decided in [`step`], and nowhere else; redemption is [`super::token`]'s.

use std::time::Duration;

use crate::{
    client::{Client, ClientSource, GrantType},
    clock::Timestamp,
    entropy::Entropy,
    ids::{ProviderName, TransactionId},
    oauth::{ErrorCode, OAuthError, consent, params::Params},
    pkce::{self, CodeChallenge},
    principal::User,
    redirect::RedirectUri,
    resource::{ResourceSet, Resources},
    scope::{self, Scope, ScopeSet},
    secret::{SecretText, TokenHash, TokenKind, TokenSecret},
    signin::{
        AuthorizationRequest, BrowserTransaction, Login, ProviderRequest, Purpose, Transaction,
    },
    token::AuthorizationCode,
};

mod interaction;
mod step;

pub use interaction::PROMPTS;
pub use step::{AuthorizationProgress, Step, refusal};

const MAX_STATE: usize = 4096;
const MAX_RESOURCES: usize = 16;

/// Where an error may be told to the client: a registered redirect URI of a known client, and the
/// state it sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReturnAddress {
    pub redirect_uri: RedirectUri,
    pub state: Option<String>,
}

/// First the client and its redirect URI. An error here is shown on a page and never sent anywhere
/// (threats 4, 11).
pub fn return_address(params: &Params, client: &Client) -> Result<ReturnAddress, OAuthError> {
    let redirect_uri = match (params.find("redirect_uri"), client.redirect_uris.as_slice()) {
        (Some(presented), registered) => {
            registered.iter().find_map(|uri| uri.admitted(presented)).ok_or_else(|| {
                OAuthError::invalid_request(
                    "redirect_uri is not one this client registered; it must match exactly",
                )
            })?
        }
        (None, [only]) => only.clone(),
        (None, _) => {
            return Err(OAuthError::invalid_request(
                "redirect_uri is required: this client registered several",
            ));
        }
    };
    let state = params.find("state").map(str::to_owned);
    if state.as_ref().is_some_and(|state| state.len() > MAX_STATE) {
        return Err(OAuthError::invalid_request("state is too long"));
    }
    Ok(ReturnAddress { redirect_uri, state })
}

/// Then everything else. An error here may be told to the client, once the person has seen a page
/// (threat 11).
pub fn check(
    params: &Params,
    client: &Client,
    address: ReturnAddress,
    resources: &Resources,
) -> Result<AuthorizationRequest, OAuthError> {
    for unsupported in ["request", "request_uri"] {
        if params.find(unsupported).is_some() {
            return Err(OAuthError::invalid_request(format!("{unsupported} is not supported")));
        }
    }
    match params.require("response_type")? {
        "code" if client.may_use(GrantType::AuthorizationCode) => {}
        "code" => {
            return Err(OAuthError::new(
                ErrorCode::UnauthorizedClient,
                "this client may not use authorization_code",
            ));
        }
        _ => {
            return Err(OAuthError::new(
                ErrorCode::UnsupportedResponseType,
                "response_type must be code",
            ));
        }
    }
    if params.find("response_mode").is_some_and(|mode| mode != "query") {
        return Err(OAuthError::invalid_request("response_mode must be query"));
    }
    let code_challenge =
        CodeChallenge::parse(params.find("code_challenge"), params.find("code_challenge_method"))
            .map_err(|bad| OAuthError::invalid_request(bad.to_string()))?;
    let target = target(params, resources)?;
    let scopes = scopes(params, client, resources, &target)?;
    let interaction = interaction::interaction(params)?;
    Ok(AuthorizationRequest {
        client: client.id.clone(),
        redirect_uri: address.redirect_uri,
        state: address.state,
        code_challenge,
        resources: target,
        scopes,
        fingerprint: consent::fingerprint(client),
        interaction,
    })
}

/// The resources the grant is for: more than one may be named, and each token will be for one of
/// them (RFC 8707 section 2.1). A client that names none (revisions before 2025-06-18) gets `/mcp`.
fn target(params: &Params, resources: &Resources) -> Result<ResourceSet, OAuthError> {
    let bad = |description| OAuthError::new(ErrorCode::InvalidTarget, description);
    let mut set: Option<ResourceSet> = None;
    for (n, named) in params.resources().enumerate() {
        if n == MAX_RESOURCES {
            return Err(bad("too many resources are asked for at a time"));
        }
        let resource =
            resources.parse(named).map_err(|_| bad("resource is not one of this gateway's"))?;
        match &mut set {
            None => set = Some(resource.into()),
            Some(set) => set.insert(resource),
        }
    }
    Ok(set.unwrap_or_else(|| resources.root().into()))
}

/// The scopes to ask the person for: those the client named that exist on the resource, `mcp` if it
/// named none. Scopes that this gateway has never heard of are left out (RFC 6749 section 3.3), and
/// a request for nothing but those names none: there are clients that always ask for `openid`
/// (FB10). A request for nothing but scopes of other resources is refused. The scopes in a client's
/// own metadata are what it asks for when it names none, and no bound: clients write the first
/// challenge's scope there, and have to ask for more when a call needs more. Those in the
/// configuration are a bound.
fn scopes(
    params: &Params,
    client: &Client,
    resources: &Resources,
    target: &ResourceSet,
) -> Result<ScopeSet, OAuthError> {
    let bad = |description: String| OAuthError::new(ErrorCode::InvalidScope, description);
    let available = target
        .iter()
        .fold(ScopeSet::default(), |all, resource| all.union(&resources.scopes(resource)));
    let asked = match params.find("scope") {
        Some(text) => ScopeSet::parse(text).map_err(|reason| bad(reason.to_string()))?,
        None => ScopeSet::default(),
    };
    let known = resources.scopes(&resources.root()).union(&available);
    let asked = asked.intersection(&known);
    let asked_for_access = asked.gives_access();
    let mut granted = asked.intersection(&available);
    if !asked_for_access {
        granted.extend_with(scope::MCP);
    }
    // A registration may speak of scopes of somewhere else; what the configuration does not speak
    // of, it does not allow.
    let is_bound = client.source == ClientSource::Configured;
    let is_of_here = |scope: &Scope| {
        scope.as_str() != scope::OFFLINE_ACCESS && available.contains(scope.as_str())
    };
    let counts =
        |limit: &&ScopeSet| is_bound || (!asked_for_access && limit.iter().any(is_of_here));
    if let Some(limit) = client.scopes.as_ref().filter(counts) {
        granted = resources.catalogue().within(&granted, limit).intersection(&available);
    }
    // A client without refresh tokens is not granted `offline_access`, and its user is not asked
    // for it.
    if !client.may_use(GrantType::RefreshToken) {
        granted = granted
            .iter()
            .filter(|scope| scope.as_str() != scope::OFFLINE_ACCESS)
            .cloned()
            .collect();
    }
    match target
        .iter()
        .find(|resource| !granted.intersection(&resources.scopes(resource)).gives_access())
    {
        None => Ok(granted),
        Some(resource) => {
            let available = resources.scopes(resource);
            Err(bad(format!(
                "none of the scopes asked for exists on {resource}; it has: {available}"
            )))
        }
    }
}

impl ScopeSet {
    fn extend_with(&mut self, word: &str) {
        if let Ok(scope) = Scope::parse(word) {
            self.insert(scope);
        }
    }
}

/// A new transaction, bound to the browser that began it.
pub fn begin(
    purpose: Purpose,
    browser: TokenHash,
    now: Timestamp,
    lifetime: Duration,
    entropy: &dyn Entropy,
) -> BrowserTransaction {
    BrowserTransaction::begun(Transaction {
        id: TransactionId::generate(entropy),
        purpose,
        browser,
        consented_at: None,
        consented_by: None,
        signed_in: None,
        begun_from: None,
        departures: 0,
        created_at: now,
        expires_at: now + lifetime,
    })
}

/// An authorization request at a provider, with the secrets that go out with the browser.
#[derive(Debug)]
pub struct Departure {
    pub provider_request: ProviderRequest,
    /// Goes to the provider as `state`.
    pub state: SecretText,
    /// Goes into the state cookie, which is set only now: after consent (threat 2).
    pub cookie: TokenSecret,
    pub code_challenge: CodeChallenge,
}

/// Prepares a request to `provider` for the transaction, whose answer is to come to `redirect_uri`.
pub fn depart(
    transaction: &BrowserTransaction,
    provider: &ProviderName,
    redirect_uri: &str,
    entropy: &dyn Entropy,
) -> Departure {
    let state = TokenSecret::generate(TokenKind::State, entropy);
    let cookie = TokenSecret::generate(TokenKind::Browser, entropy);
    let code_verifier = pkce::generate_verifier(entropy);
    let nonce = pkce::generate_verifier(entropy);
    let code_challenge = CodeChallenge::of(&code_verifier);
    let provider_request = ProviderRequest {
        state: state.hash(),
        browser: cookie.hash(),
        transaction: transaction.id.clone(),
        provider: provider.clone(),
        redirect_uri: redirect_uri.to_owned(),
        nonce,
        code_verifier,
        expires_at: transaction.expires_at,
    };
    Departure { provider_request, state: SecretText::new(state.expose()), cookie, code_challenge }
}

/// A code for a request that the person in `login` has allowed.
pub fn issue_code(
    request: &AuthorizationRequest,
    user: &User,
    login: &Login,
    now: Timestamp,
    lifetime: Duration,
    entropy: &dyn Entropy,
) -> (TokenSecret, AuthorizationCode) {
    let secret = TokenSecret::generate(TokenKind::Code, entropy);
    let code = AuthorizationCode {
        hash: secret.hash(),
        client: request.client.clone(),
        user: user.id.clone(),
        redirect_uri: request.redirect_uri.clone(),
        code_challenge: request.code_challenge.clone(),
        resources: request.resources.clone(),
        scopes: request.scopes.clone(),
        login: Some(login.id),
        expires_at: now + lifetime,
    };
    (secret, code)
}

/// The redirect that hands the client its code, with `iss` (RFC 9207, threat 10).
pub fn success_redirect(address: &ReturnAddress, code: &TokenSecret, issuer: &str) -> String {
    with_params(address, &[("code", code.expose()), ("iss", issuer)])
}

/// The redirect that tells the client of an error, with `iss` (RFC 9207, threat 10). `None` where
/// an error must not be sent (threat 59): then only the person is told.
pub fn error_redirect(address: &ReturnAddress, error: &OAuthError, issuer: &str) -> Option<String> {
    let params = [
        ("error", error.code.as_str()),
        ("error_description", &error.description),
        ("iss", issuer),
    ];
    address.redirect_uri.may_be_told_of_errors().then(|| with_params(address, &params))
}

/// Appends parameters and leaves the URI as the client spelt it (RFC 6749 section 3.1.2).
fn with_params(address: &ReturnAddress, params: &[(&str, &str)]) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(params);
    if let Some(state) = &address.state {
        query.append_pair("state", state);
    }
    let uri = address.redirect_uri.as_str();
    let separator = match uri.split_once('?') {
        None => "?",
        Some((_, "")) => "",
        Some(_) => "&",
    };
    format!("{uri}{separator}{}", query.finish())
}

impl AuthorizationRequest {
    /// Where the outcome of this request is told.
    pub fn return_address(&self) -> ReturnAddress {
        ReturnAddress { redirect_uri: self.redirect_uri.clone(), state: self.state.clone() }
    }
}

#[cfg(test)]
pub(crate) mod tests;
