//! What a person is asked before a client may act for them, and what is remembered of the answer
//! (MCP security best practices, "Confused deputy"; threats 1, 5). When to ask is decided in
//! [`super::authorize::AuthorizationProgress`].

use std::collections::BTreeSet;

use crate::{
    client::{Client, ClientKeys},
    clock::Timestamp,
    grant::Consent,
    ids::{ServerName, UserId},
    oauth::{ErrorCode, OAuthError},
    redirect::{Recipient, RedirectUri},
    resource::{Resources, Target},
    scope::Scope,
    secret::TokenHash,
    signin::AuthorizationRequest,
};

/// Everything the person must see to decide.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// What the client would be let to.
    pub targets: RequestedTargets,
    /// What the person is asked to allow, in the fewest scopes that say it.
    pub scopes: Vec<ScopeWords>,
    /// What they allowed before, and is not asked for now. It stays allowed.
    pub kept: Vec<ScopeWords>,
    /// They allowed this client before, when it had other redirect URIs or keys (threat 28).
    pub has_changed: bool,
    /// To whom the answer is sent.
    pub recipient: Recipient,
    /// The answer goes to this computer, or all this client's answers do: any program could be
    /// waiting there (threat 5).
    pub is_local: bool,
    /// When they allowed all of this before, if they did.
    pub allowed_at: Option<Timestamp>,
}

/// What stands behind the resources that are asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequestedTargets {
    pub servers: BTreeSet<ServerName>,
    /// Proxied services, by their paths.
    pub services: BTreeSet<String>,
}

/// One scope and what it means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScopeWords {
    pub scope: String,
    pub words: String,
    /// The person allowed this client something before, but not this.
    pub is_new: bool,
}

/// Puts the question together. `remembered` is what the person in front of the browser allowed
/// before, if we know who it is.
pub fn question(
    request: &AuthorizationRequest,
    client: &Client,
    remembered: Option<&Consent>,
    resources: &Resources,
) -> Question {
    let catalogue = resources.catalogue();
    let earlier = remembered.filter(|consent| consent.fingerprint == request.fingerprint);
    let allowed = earlier.map(|consent| &consent.scopes);
    // What is implied by something else that is asked for would only hide it.
    let asked = catalogue.minimal(&request.scopes);
    let kept = allowed.map(|allowed| catalogue.minimal(allowed)).unwrap_or_default();
    let words = |scope: &Scope| ScopeWords {
        scope: scope.as_str().to_owned(),
        words: catalogue.words(scope),
        is_new: allowed.is_some_and(|allowed| !catalogue.covers(allowed, scope)),
    };
    Question {
        targets: requested_targets(request, resources),
        scopes: asked.iter().map(words).collect(),
        kept: kept
            .iter()
            .filter(|scope| !catalogue.covers(&request.scopes, scope))
            .map(words)
            .collect(),
        has_changed: remembered.is_some() && earlier.is_none(),
        recipient: request.redirect_uri.recipient(),
        is_local: request.redirect_uri.is_local()
            || client.redirect_uris.iter().all(RedirectUri::is_local),
        allowed_at: earlier
            .filter(|earlier| catalogue.covers_all(&earlier.scopes, &request.scopes))
            .map(|earlier| earlier.given_at),
    }
}

/// Must a person answer for each code, whatever they allowed before (RFC 8252 section 8.6, threat
/// 58)? A public client proves nothing, and at an address on this computer any program can wait for
/// its answer: what such a client is given is given to any program that opens a browser. An https
/// address is known by its host, a confidential client by its proof. What counts is the address of
/// this request, and not the others that the client has.
pub fn needs_an_answer(client: &Client, redirect_uri: &RedirectUri) -> bool {
    !client.is_confidential() && !redirect_uri.is_on_the_web()
}

fn requested_targets(request: &AuthorizationRequest, resources: &Resources) -> RequestedTargets {
    let mut targets = RequestedTargets::default();
    for resource in request.resources.iter() {
        match resources.target(resource) {
            Some(Target::Server(name)) => {
                targets.servers.insert(name.clone());
            }
            Some(Target::Proxy { pattern }) => {
                targets.services.insert(pattern.clone());
            }
            Some(Target::All) | None => {
                let by_scope = resources.catalogue().effective(&request.scopes);
                targets
                    .servers
                    .extend(resources.servers().filter(|name| by_scope.touches(name)).cloned());
            }
        }
    }
    targets
}

/// What of a client a consent is given to: where it has people sent, and how it proves itself
/// (threat 28). Names and pictures may change.
pub fn fingerprint(client: &Client) -> TokenHash {
    let mut uris: Vec<&str> = client.redirect_uris.iter().map(RedirectUri::as_str).collect();
    uris.sort_unstable();
    let keys = match &client.keys {
        None => String::new(),
        Some(ClientKeys::Inline(set)) => set.to_string(),
        Some(ClientKeys::Remote(url)) => url.clone(),
    };
    // None of the parts can have a line break in it.
    TokenHash::of(&[&uris.join(" "), client.auth_method.as_str(), &keys].join("\n"))
}

/// Is the consent this person's, for this client and these resources?
pub(super) fn concerns(consent: &Consent, request: &AuthorizationRequest, user: &UserId) -> bool {
    consent.user == *user
        && consent.client == request.client
        && consent.resources == request.resources
}

/// Does what the person allowed before answer this request? Only for the client as it was then.
pub(super) fn covers(
    consent: &Consent,
    request: &AuthorizationRequest,
    user: &UserId,
    resources: &Resources,
) -> bool {
    concerns(consent, request, user)
        && consent.fingerprint == request.fingerprint
        && resources.catalogue().covers_all(&consent.scopes, &request.scopes)
}

/// What to remember once the person in the login has allowed the request: that, and what they
/// allowed the same client before.
pub fn remember(
    request: &AuthorizationRequest,
    user: &UserId,
    earlier: Option<&Consent>,
    now: Timestamp,
) -> Consent {
    let kept = earlier.filter(|consent| {
        concerns(consent, request, user) && consent.fingerprint == request.fingerprint
    });
    Consent {
        user: user.clone(),
        client: request.client.clone(),
        resources: request.resources.clone(),
        scopes: kept
            .map_or_else(|| request.scopes.clone(), |kept| kept.scopes.union(&request.scopes)),
        given_at: now,
        fingerprint: request.fingerprint,
    }
}

/// What the client is told when the person says no (RFC 6749 section 4.1.2.1).
pub fn denied() -> OAuthError {
    OAuthError::new(ErrorCode::AccessDenied, "the person did not allow the request")
}

#[cfg(test)]
mod tests;
