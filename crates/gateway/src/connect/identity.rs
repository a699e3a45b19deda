//! Who we are at an authorization server, in the order of the specification (MCP, client
//! registration): a configured client, a client ID metadata document, a registration (RFC 7591).

use portunus_core::{oauth_client::discovery::MAX_URL, secret::SecretText};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    discovery::Discovered, error::ConnectError, fetch::Fetcher, options::ConfiguredClient,
};

/// The path of the loopback redirect URI (RFC 8252 section 7.3).
pub(super) const CALLBACK: &str = "/callback";

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientIdentity {
    pub id: String,
    pub secret: Option<SecretText>,
    pub method: Method,
    /// Of the redirect URI that was registered: others may be refused.
    pub port: Option<u16>,
}

/// How the client proves who it is at the token endpoint (RFC 6749 section 2.3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Method {
    #[serde(rename = "none")]
    Public,
    #[serde(rename = "client_secret_basic")]
    Basic,
    #[serde(rename = "client_secret_post")]
    Post,
}

impl Method {
    const fn name(self) -> &'static str {
        match self {
            Self::Public => "none",
            Self::Basic => "client_secret_basic",
            Self::Post => "client_secret_post",
        }
    }

    fn by_name(name: &str) -> Option<Self> {
        [Self::Public, Self::Basic, Self::Post].into_iter().find(|method| method.name() == name)
    }

    /// For a client with a secret; an absent list means Basic (RFC 8414 section 2).
    fn with_secret(methods: Option<&[String]>) -> Self {
        let takes =
            |method: Self| methods.is_some_and(|all| all.iter().any(|one| one == method.name()));
        if !takes(Self::Basic) && takes(Self::Post) { Self::Post } else { Self::Basic }
    }
}

/// The client that needs no registration, if there is one.
pub(super) fn configured(client: &ConfiguredClient, server: &Discovered) -> Option<ClientIdentity> {
    if let Some(id) = &client.id {
        let method = match client.secret {
            Some(_) => Method::with_secret(server.methods.as_deref()),
            None => Method::Public,
        };
        return Some(ClientIdentity {
            id: id.clone(),
            secret: client.secret.clone(),
            method,
            port: None,
        });
    }
    let url = client.metadata_url.as_ref().filter(|_| server.reads_documents)?;
    Some(ClientIdentity { id: url.to_string(), secret: None, method: Method::Public, port: None })
}

pub(super) fn redirect_uri(port: u16) -> String {
    format!("http://127.0.0.1:{port}{CALLBACK}")
}

/// Registers at the authorization server, with a redirect URI at this port.
pub(super) async fn register(
    fetcher: &Fetcher,
    server: &Discovered,
    port: u16,
) -> Result<ClientIdentity, ConnectError> {
    let endpoint = server.registration_endpoint.as_ref().ok_or_else(|| {
        ConnectError::SignIn(format!(
            "{} registers no clients: ask its administrator for a client ID with the redirect URI http://127.0.0.1/callback, and give it with --client-id",
            server.issuer
        ))
    })?;
    let offered = server.methods.as_deref();
    let method = match offered {
        None => Method::Public,
        Some(all) if all.iter().any(|one| one == Method::Public.name()) => Method::Public,
        Some(_) => Method::with_secret(offered),
    };
    let body = json!({
        "client_name": "Portunus Connect",
        "redirect_uris": [redirect_uri(port)],
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "token_endpoint_auth_method": method.name(),
        "application_type": "native",
        "software_id": "portunus-connect",
        "software_version": env!("CARGO_PKG_VERSION"),
    });
    let answer = fetcher.post_json(endpoint, &body).await?;
    if !answer.status.is_success() {
        return Err(super::token_request::refusal(answer.status, &answer.body));
    }
    let text =
        |name: &str| answer.body.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    // It stands in a URL that a person is shown.
    let id = text("client_id").filter(|id| id.len() <= MAX_URL).ok_or_else(|| {
        ConnectError::Trouble(
            "its answer to the registration has no client_id, or a very long one".to_owned(),
        )
    })?;
    let secret = text("client_secret").map(SecretText::new);
    let method = match (text("token_endpoint_auth_method").and_then(Method::by_name), &secret) {
        (_, None) => Method::Public,
        (Some(method), Some(_)) => method,
        (None, Some(_)) => Method::with_secret(offered),
    };
    let secret = secret.filter(|_| method != Method::Public);
    Ok(ClientIdentity { id: id.to_owned(), secret, method, port: Some(port) })
}
