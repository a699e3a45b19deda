//! The client credentials grant (RFC 6749 section 4.4; MCP extension
//! `io.modelcontextprotocol/oauth-client-credentials`): a client that stands in the configuration
//! acts for itself, as a user of its own. Everything that guards a person's token guards its
//! tokens: resource, scope, and the policy for its groups (threat 24). Never a refresh token: the
//! client can ask again.

use super::{
    authenticate::AuthenticatedClient,
    issuing::{Audience, Issuing, TokenResponse, mint_access, one_resource},
};
use crate::{
    client::{Client, ClientAuthMethod, ClientSource, GrantType},
    clock::Timestamp,
    entropy::Entropy,
    grant::Grant,
    ids::{GrantId, ProviderName, UserId},
    lifetimes::Lifetimes,
    oauth::{ErrorCode, OAuthError, params::Params},
    principal::{SERVICES, User},
    resource::{PublicUrl, Resource, Resources},
    scope::{self, Scope, ScopeSet},
    token::AccessToken,
};

/// What to write and answer.
#[derive(Debug)]
pub struct ServiceGrant {
    /// The client as a user, as the configuration describes it now.
    pub user: User,
    pub grant: Grant,
    pub access: AccessToken,
    pub answer: TokenResponse,
}

/// Checks the request and makes the grant with its one token.
pub fn client_credentials(
    client: &AuthenticatedClient,
    form: &Params,
    resources: &Resources,
    now: Timestamp,
    lifetimes: &Lifetimes,
    entropy: &dyn Entropy,
) -> Result<ServiceGrant, OAuthError> {
    let client = client.client();
    if !is_service(client) {
        return Err(OAuthError::new(
            ErrorCode::UnauthorizedClient,
            "this client may not use client_credentials",
        ));
    }
    let resource = match only_server(client, resources) {
        Some(only) if form.resources().next().is_none() => only,
        _ => one_resource(form, resources)?,
    };
    let scopes = scopes(form, client, resources, &resource)?;
    let user = service_user(client, resources.public_url(), now);
    let grant = Grant {
        id: GrantId::generate(entropy),
        user: user.id.clone(),
        client: client.id.clone(),
        application: None,
        resources: resource.clone().into(),
        scopes: scopes.clone(),
        login: None,
        created_at: now,
        expires_at: Some(now + lifetimes.access_token),
        revoked_at: None,
        key: None,
    };
    let (secret, access) =
        mint_access(&grant, Audience { resource, scopes }, &Issuing { now, lifetimes, entropy });
    let answer = TokenResponse::new(&secret, None, &access, now);
    Ok(ServiceGrant { user, grant, access, answer })
}

/// May the client act for itself? The configuration alone says so, and a client without a secret or
/// key never may.
pub fn is_service(client: &Client) -> bool {
    client.source == ClientSource::Configured
        && client.auth_method != ClientAuthMethod::None
        && client.may_use(GrantType::ClientCredentials)
}

/// The issuer of the users that are clients which act for themselves, and no people.
pub fn service_issuer(public_url: &PublicUrl) -> String {
    public_url.at("/clients")
}

/// The client as a user. No identity provider can have this issuer, so no person ever has this id
/// (threat 42).
fn service_user(client: &Client, public_url: &PublicUrl, now: Timestamp) -> User {
    let issuer = service_issuer(public_url);
    User {
        id: UserId::of(&issuer, client.id.as_str()),
        provider: ProviderName::from_text(SERVICES),
        issuer,
        subject: client.id.as_str().to_owned(),
        name: client.name.clone(),
        email: None,
        email_verified: false,
        groups: client.groups.clone(),
        hosted_domain: None,
        no_groups: None,
        signed_in_at: now,
        read_at: None,
    }
}

/// The server that the client may use, if it may use no other: a client that names no `resource`
/// means that one (FB81).
fn only_server(client: &Client, resources: &Resources) -> Option<Resource> {
    let limit = client
        .scopes
        .as_ref()
        .filter(|limit| limit.iter().all(|scope| scope.as_str() != scope::MCP))?;
    let may_use = |resource: &Resource| {
        let available = resources.scopes(resource);
        let here = resources.catalogue().within(&available, limit).intersection(&available);
        here.iter().any(|scope| scope.as_str() != scope::OFFLINE_ACCESS)
    };
    let mut usable = resources.servers().map(|server| resources.of_server(server)).filter(may_use);
    usable.next().filter(|_| usable.next().is_none())
}

/// What the client asks for, or all it is configured for: within its configured scopes, as far as
/// they exist on the resource.
fn scopes(
    form: &Params,
    client: &Client,
    resources: &Resources,
    resource: &Resource,
) -> Result<ScopeSet, OAuthError> {
    let bad = |description: String| OAuthError::new(ErrorCode::InvalidScope, description);
    let everything = || Scope::parse(scope::MCP).into_iter().collect::<ScopeSet>();
    let limit = client.scopes.clone();
    let asked = match form.find("scope") {
        Some(text) => ScopeSet::parse(text).map_err(|reason| bad(reason.to_string()))?,
        None => limit.clone().unwrap_or_else(everything),
    };
    let available = resources.scopes(resource);
    let mut granted = asked.intersection(&available);
    if let Some(limit) = limit {
        granted = resources.catalogue().within(&granted, &limit).intersection(&available);
    }
    let granted: ScopeSet =
        granted.iter().filter(|scope| scope.as_str() != scope::OFFLINE_ACCESS).cloned().collect();
    if granted.is_empty() {
        return Err(bad(
            "this client may use none of the scopes asked for on this resource".to_owned()
        ));
    }
    Ok(granted)
}

#[cfg(test)]
mod tests;
