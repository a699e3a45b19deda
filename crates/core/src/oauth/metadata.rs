//! What the gateway says of itself: protected resource metadata (RFC 9728), authorization server
//! metadata (RFC 8414), and the challenge that leads to them (RFC 6750 section 3, RFC 9728 section
//! 5.1).

use serde::Serialize;

use crate::{
    client::{ClientAuthMethod, GrantType},
    oauth::{assertion, authorize, register},
    resource::{PublicUrl, Resource, ResourceAddress, Resources, Target},
    scope::{self, Scope, ScopeSet},
};

/// The path below which protected resource metadata stands; the resource's own path follows (RFC
/// 9728 section 3.1).
pub const PROTECTED_RESOURCE: &str = "/.well-known/oauth-protected-resource";

/// Protected resource metadata (RFC 9728 section 2).
#[derive(Debug, Serialize)]
pub struct ProtectedResource {
    resource: String,
    authorization_servers: [String; 1],
    scopes_supported: Vec<String>,
    bearer_methods_supported: [&'static str; 1],
    resource_name: String,
}

pub fn protected_resource(
    resource: &Resource,
    address: &ResourceAddress,
    resources: &Resources,
) -> ProtectedResource {
    let resource_name = match resources.target(resource) {
        Some(Target::Server(name)) => format!("{name} (MCP server)"),
        Some(Target::Proxy { pattern }) => format!("{pattern} (MCP service)"),
        Some(Target::All) | None => "MCP servers".to_owned(),
    };
    ProtectedResource {
        resource: resources.public_url().at(address.path_and_query()),
        authorization_servers: [resources.public_url().as_str().to_owned()],
        // Not `offline_access`: whether a client stays connected is no business of the resource
        // (MCP 2026-07-28, authorization).
        scopes_supported: words(&resources.scopes(resource))
            .filter(|word| word != scope::OFFLINE_ACCESS)
            .collect(),
        bearer_methods_supported: ["header"],
        resource_name,
    }
}

/// Authorization server metadata (RFC 8414 section 2).
#[derive(Debug, Serialize)]
pub struct AuthorizationServer {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    registration_endpoint: Option<String>,
    client_id_metadata_document_supported: bool,
    revocation_endpoint: String,
    revocation_endpoint_auth_methods_supported: Vec<&'static str>,
    /// Required with `private_key_jwt`, here and below.
    revocation_endpoint_auth_signing_alg_values_supported: [&'static str; 5],
    introspection_endpoint: String,
    introspection_endpoint_auth_methods_supported: Vec<&'static str>,
    introspection_endpoint_auth_signing_alg_values_supported: [&'static str; 5],
    scopes_supported: Vec<String>,
    response_types_supported: [&'static str; 1],
    response_modes_supported: [&'static str; 1],
    grant_types_supported: Vec<&'static str>,
    token_endpoint_auth_methods_supported: Vec<&'static str>,
    token_endpoint_auth_signing_alg_values_supported: [&'static str; 5],
    code_challenge_methods_supported: [&'static str; 1],
    /// Initiating User Registration via OpenID Connect 1.0 section 4.
    prompt_values_supported: [&'static str; 4],
    authorization_response_iss_parameter_supported: bool,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    openid: Option<OpenIdAdditions>,
}

/// What OpenID Connect Discovery requires on top. We issue no ID tokens, so the key set is empty;
/// clients that look only at the OpenID path refuse a document without these members.
#[derive(Debug, Serialize)]
struct OpenIdAdditions {
    jwks_uri: String,
    subject_types_supported: [&'static str; 1],
    id_token_signing_alg_values_supported: [&'static str; 1],
}

/// What is switched on, and so advertised.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Features {
    /// Dynamic registration (RFC 7591).
    pub registration: bool,
    /// Client ID metadata documents.
    pub metadata_documents: bool,
    /// There are clients that may act for themselves.
    pub client_credentials: bool,
}

pub fn authorization_server(resources: &Resources, features: Features) -> AuthorizationServer {
    let url = resources.public_url();
    AuthorizationServer {
        issuer: url.as_str().to_owned(),
        authorization_endpoint: url.at("/auth/authorize"),
        token_endpoint: url.at("/auth/token"),
        registration_endpoint: features.registration.then(|| url.at(register::PATH)),
        client_id_metadata_document_supported: features.metadata_documents,
        revocation_endpoint: url.at("/auth/revoke"),
        revocation_endpoint_auth_methods_supported: ClientAuthMethod::SUPPORTED
            .map(ClientAuthMethod::as_str)
            .to_vec(),
        revocation_endpoint_auth_signing_alg_values_supported: assertion::ALGORITHMS,
        introspection_endpoint: url.at("/auth/introspect"),
        introspection_endpoint_auth_methods_supported: ClientAuthMethod::SUPPORTED
            .into_iter()
            .filter(|method| *method != ClientAuthMethod::None)
            .map(ClientAuthMethod::as_str)
            .collect(),
        introspection_endpoint_auth_signing_alg_values_supported: assertion::ALGORITHMS,
        scopes_supported: words(&resources.scopes(&resources.root())).collect(),
        response_types_supported: ["code"],
        response_modes_supported: ["query"],
        grant_types_supported: GrantType::SUPPORTED
            .into_iter()
            .filter(|grant| features.client_credentials || *grant != GrantType::ClientCredentials)
            .map(GrantType::as_str)
            .collect(),
        token_endpoint_auth_methods_supported: ClientAuthMethod::SUPPORTED
            .into_iter()
            .map(ClientAuthMethod::as_str)
            .collect(),
        token_endpoint_auth_signing_alg_values_supported: assertion::ALGORITHMS,
        code_challenge_methods_supported: ["S256"],
        prompt_values_supported: authorize::PROMPTS,
        authorization_response_iss_parameter_supported: true,
        openid: None,
    }
}

/// The same document as it stands at `/.well-known/openid-configuration`.
pub fn openid_configuration(resources: &Resources, features: Features) -> AuthorizationServer {
    AuthorizationServer {
        openid: Some(OpenIdAdditions {
            jwks_uri: resources.public_url().at("/auth/jwks.json"),
            subject_types_supported: ["public"],
            id_token_signing_alg_values_supported: ["RS256"],
        }),
        ..authorization_server(resources, features)
    }
}

fn words(scopes: &ScopeSet) -> impl Iterator<Item = String> {
    scopes.iter().map(Scope::as_str).map(str::to_owned)
}

/// Where the metadata of the resource at this address stands: the well-known path goes between host
/// and path (RFC 9728 section 3.1).
pub fn metadata_url(address: &ResourceAddress, public_url: &PublicUrl) -> String {
    public_url.at(&format!("{PROTECTED_RESOURCE}{}", address.path_and_query()))
}

/// Why a request was not let in, for its `WWW-Authenticate` header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Challenge {
    /// No token at all: no error code (RFC 6750 section 3.1).
    NoToken,
    /// Unknown, expired, revoked, or for another resource (threat 30).
    InvalidToken,
    /// The header cannot be read, or the token came in the query (threat 48).
    InvalidRequest,
}

/// The value of `WWW-Authenticate` for a request on `resource` that was sent to `address`: where
/// its metadata stands, and the scope to ask for.
pub fn challenge(
    why: Challenge,
    resource: &Resource,
    address: &ResourceAddress,
    resources: &Resources,
) -> String {
    let error = match why {
        Challenge::NoToken => "",
        Challenge::InvalidToken => {
            r#"error="invalid_token", error_description="the access token is unknown, expired, revoked, or for another resource", "#
        }
        Challenge::InvalidRequest => {
            r#"error="invalid_request", error_description="send one access token in the Authorization header", "#
        }
    };
    let metadata = metadata_url(address, resources.public_url());
    format!(
        r#"Bearer {error}resource_metadata="{metadata}", scope="{}""#,
        resources.first_scopes(resource)
    )
}

/// The value of `WWW-Authenticate` for a call that needs scopes the token lacks: all it needs at
/// once, separated by spaces (MCP 2026-07-28, authorization, "Scope Challenge Handling").
pub fn insufficient_scope(
    needed: &ScopeSet,
    address: &ResourceAddress,
    public_url: &PublicUrl,
) -> String {
    let metadata = metadata_url(address, public_url);
    format!(
        r#"Bearer error="insufficient_scope", error_description="the access token does not cover this", scope="{needed}", resource_metadata="{metadata}""#
    )
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;
    use crate::{
        ids::ServerName,
        oauth::{authorize::tests::resources, snapshots::members},
    };

    #[test]
    fn a_resource_names_its_authorization_server() {
        let resources = resources();
        let dice = resources.of_server(&ServerName::parse("dice").unwrap());
        // Its scopes are without offline_access.
        let document = protected_resource(&dice, &resources.address_of(&dice), &resources);
        assert_snapshot!(members(&document), @r#"
        resource: "https://gw.example/mcp/dice"
        authorization_servers: ["https://gw.example"]
        scopes_supported: ["dice","dice:any","dice:read","dice:write","mcp","team"]
        bearer_methods_supported: ["header"]
        resource_name: "dice (MCP server)"
        "#);
    }

    #[test]
    fn the_openid_path_has_what_openid_asks_for() {
        let resources = resources();
        let oauth = members(&authorization_server(&resources, Features::default()));
        assert_snapshot!(oauth, @r#"
        issuer: "https://gw.example"
        authorization_endpoint: "https://gw.example/auth/authorize"
        token_endpoint: "https://gw.example/auth/token"
        client_id_metadata_document_supported: false
        revocation_endpoint: "https://gw.example/auth/revoke"
        revocation_endpoint_auth_methods_supported: ["none","client_secret_basic","client_secret_post","private_key_jwt"]
        revocation_endpoint_auth_signing_alg_values_supported: ["RS256","PS256","ES256","ES384","EdDSA"]
        introspection_endpoint: "https://gw.example/auth/introspect"
        introspection_endpoint_auth_methods_supported: ["client_secret_basic","client_secret_post","private_key_jwt"]
        introspection_endpoint_auth_signing_alg_values_supported: ["RS256","PS256","ES256","ES384","EdDSA"]
        scopes_supported: ["dice","dice:any","dice:read","dice:write","mcp","offline_access","team","uuid","uuid:make"]
        response_types_supported: ["code"]
        response_modes_supported: ["query"]
        grant_types_supported: ["authorization_code","refresh_token"]
        token_endpoint_auth_methods_supported: ["none","client_secret_basic","client_secret_post","private_key_jwt"]
        token_endpoint_auth_signing_alg_values_supported: ["RS256","PS256","ES256","ES384","EdDSA"]
        code_challenge_methods_supported: ["S256"]
        prompt_values_supported: ["none","login","consent","select_account"]
        authorization_response_iss_parameter_supported: true
        "#);
        let openid = members(&openid_configuration(&resources, Features::default()));
        assert_snapshot!(openid.strip_prefix(&oauth).unwrap().trim_start(), @r#"
        jwks_uri: "https://gw.example/auth/jwks.json"
        subject_types_supported: ["public"]
        id_token_signing_alg_values_supported: ["RS256"]
        "#);
    }

    #[test]
    fn what_is_switched_off_is_not_advertised() {
        let document = |registration, metadata_documents| {
            let features =
                Features { registration, metadata_documents, client_credentials: registration };
            members(&authorization_server(&resources(), features))
                .lines()
                .filter(|line| {
                    ["registration", "grant", "client_id"].iter().any(|of| line.starts_with(of))
                })
                .collect::<Vec<_>>()
                .join("\n")
        };
        assert_snapshot!(document(true, false), @r#"
        registration_endpoint: "https://gw.example/auth/register"
        client_id_metadata_document_supported: false
        grant_types_supported: ["authorization_code","refresh_token","client_credentials"]
        "#);
        assert_snapshot!(document(false, true), @r#"
        client_id_metadata_document_supported: true
        grant_types_supported: ["authorization_code","refresh_token"]
        "#);
    }

    #[test]
    fn challenges_point_at_the_metadata() {
        let resources = resources();
        let dice = resources.of_server(&ServerName::parse("dice").unwrap());
        let said = |challenge, resource: &Resource| {
            super::challenge(challenge, resource, &resources.address_of(resource), &resources)
        };
        assert_snapshot!(said(Challenge::NoToken, &resources.root()), @r#"Bearer resource_metadata="https://gw.example/.well-known/oauth-protected-resource/mcp", scope="mcp""#);
        assert_snapshot!(said(Challenge::NoToken, &dice), @r#"Bearer resource_metadata="https://gw.example/.well-known/oauth-protected-resource/mcp/dice", scope="dice""#);
        assert_snapshot!(said(Challenge::InvalidToken, &resources.root()), @r#"Bearer error="invalid_token", error_description="the access token is unknown, expired, revoked, or for another resource", resource_metadata="https://gw.example/.well-known/oauth-protected-resource/mcp", scope="mcp""#);
        assert_snapshot!(said(Challenge::InvalidRequest, &resources.root()), @r#"Bearer error="invalid_request", error_description="send one access token in the Authorization header", resource_metadata="https://gw.example/.well-known/oauth-protected-resource/mcp", scope="mcp""#);
        let needed = ScopeSet::parse("dice:read dice:write").unwrap();
        let address = resources.address_of(&dice);
        assert_snapshot!(insufficient_scope(&needed, &address, resources.public_url()), @r#"Bearer error="insufficient_scope", error_description="the access token does not cover this", scope="dice:read dice:write", resource_metadata="https://gw.example/.well-known/oauth-protected-resource/mcp/dice""#);
    }
}
