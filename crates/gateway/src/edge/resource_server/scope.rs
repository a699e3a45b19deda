//! What a token's scopes let its holder use, and the challenge for a call that they do not cover.
//! What each scope means is `portunus_core::oauth::scopes`; what access rules allow beside is
//! [`super::access`].

use axum::response::Response;
use http::{HeaderValue, header};
use portunus_core::{
    access::ToolHints,
    ids::ServerName,
    oauth::{
        metadata,
        scopes::{EffectiveScopes, Operation},
    },
    principal::Principal,
    resource::{Resource, ResourceAddress, Resources},
};
use portunus_mcp::{
    allow::{Allow, CalledWith, Verdict},
    answer::{Refused, Wanted},
};

/// What the scopes of one token allow.
pub struct ScopeAllow(EffectiveScopes);

impl ScopeAllow {
    pub fn new(scopes: EffectiveScopes) -> Self {
        Self(scopes)
    }

    fn verdict(&self, operation: &Operation<'_>) -> Verdict {
        if self.0.allows(operation) { Verdict::Allowed } else { Verdict::NotGranted }
    }
}

impl Allow for ScopeAllow {
    fn server(&self, server: &ServerName) -> Verdict {
        if self.0.touches(server) { Verdict::Allowed } else { Verdict::NotGranted }
    }

    fn tool(&self, server: &ServerName, name: &str, _: ToolHints, _: CalledWith<'_>) -> Verdict {
        self.verdict(&Operation::Tool(server, name))
    }

    fn prompt(&self, server: &ServerName, name: &str, _: CalledWith<'_>) -> Verdict {
        self.verdict(&Operation::Prompt(server, name))
    }

    fn resource(&self, server: &ServerName, uri: &str) -> Verdict {
        self.verdict(&Operation::Resource(server, uri))
    }

    fn method(&self, server: &ServerName, _: &str) -> Verdict {
        self.verdict(&Operation::Whole(server))
    }
}

/// What the hub refused, as scopes speak of it.
pub fn operation(refused: &Refused) -> Operation<'_> {
    let server = &refused.server;
    match &refused.what {
        Wanted::Tool(name) => Operation::Tool(server, name),
        Wanted::Prompt(name) => Operation::Prompt(server, name),
        Wanted::Resource(uri) => Operation::Resource(server, uri),
        Wanted::Server => Operation::Whole(server),
    }
}

/// Adds the challenge to a refusal with status 403: all scopes that the client needs, for this and
/// for what it could do before (RFC 6750 section 3.1; MCP authorization, "Scope Challenge
/// Handling").
pub fn challenge(
    response: &mut Response,
    principal: &Principal,
    resources: &Resources,
    operation: &Operation<'_>,
) {
    let resource = &principal.resource;
    let needed =
        resources.catalogue().step_up(&principal.scopes, resources.target(resource), operation);
    tracing::info!(client_id = %principal.client, held = %principal.scopes, %needed, "insufficient scope");
    let value = metadata::insufficient_scope(
        &needed,
        &resources.address_of(resource),
        resources.public_url(),
    );
    if let Ok(value) = HeaderValue::from_str(&value) {
        response.headers_mut().insert(header::WWW_AUTHENTICATE, value);
    }
}

/// Has the challenge of an answer lead to the metadata of the address that was asked (RFC 9728
/// section 3.3). It was made at the person's owner node, which knows the resource alone.
pub fn readdress(
    response: &mut Response,
    resource: &Resource,
    asked: &ResourceAddress,
    resources: &Resources,
) {
    let plain = resources.address_of(resource);
    if plain == *asked {
        return;
    }
    let Some(value) =
        response.headers().get(header::WWW_AUTHENTICATE).and_then(|value| value.to_str().ok())
    else {
        return;
    };
    let quoted =
        |address| format!("\"{}\"", metadata::metadata_url(address, resources.public_url()));
    if let Ok(value) = HeaderValue::from_str(&value.replace(&quoted(&plain), &quoted(asked))) {
        response.headers_mut().insert(header::WWW_AUTHENTICATE, value);
    }
}
