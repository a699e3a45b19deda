//! Dynamic client registration (RFC 7591 section 3): what a client may say of itself, and what becomes of it (threats 6, 13).

use serde::{Deserialize, Serialize};
use url::Url;

use crate::{
    client::{Client, ClientAuthMethod, GrantType},
    clock::Timestamp,
    entropy::Entropy,
    ids::ClientId,
    oauth::{ErrorCode, OAuthError},
    redirect::RedirectUri,
    scope::ScopeSet,
    secret::{TokenKind, TokenSecret},
};

const MAX_REDIRECT_URIS: usize = 20;
const MAX_TEXT: usize = 256;
const MAX_URL: usize = 2048;
const MAX_CONTACTS: usize = 10;

/// Client metadata as a client sends it (RFC 7591 section 2). Members we do not use are ignored, as the RFC asks.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct ClientMetadata {
    pub redirect_uris: Vec<String>,
    pub token_endpoint_auth_method: Option<String>,
    pub grant_types: Option<Vec<String>>,
    pub response_types: Option<Vec<String>>,
    pub client_name: Option<String>,
    pub client_uri: Option<String>,
    pub logo_uri: Option<String>,
    pub policy_uri: Option<String>,
    pub tos_uri: Option<String>,
    pub scope: Option<String>,
    pub contacts: Option<Vec<String>>,
    pub software_id: Option<String>,
    pub software_version: Option<String>,
    pub software_statement: Option<String>,
}

/// A new client, and its secret if it has one. The secret is shown this once.
#[derive(Debug)]
pub struct Registration {
    pub client: Client,
    pub secret: Option<TokenSecret>,
}

/// Checks the metadata and makes a client of it.
pub fn register(metadata: ClientMetadata, now: Timestamp, entropy: &dyn Entropy) -> Result<Registration, OAuthError> {
    if metadata.software_statement.is_some() {
        return Err(bad_metadata("software_statement is not supported; send the metadata itself"));
    }
    let redirect_uris = redirect_uris(&metadata.redirect_uris)?;
    let auth_method = auth_method(metadata.token_endpoint_auth_method.as_deref())?;
    let grant_types = grant_types(metadata.grant_types.as_deref())?;
    check_response_types(metadata.response_types.as_deref())?;
    let scopes = metadata.scope.as_deref().map(ScopeSet::parse).transpose().map_err(|bad| bad_metadata(bad.to_string()))?;
    let contacts = metadata.contacts.unwrap_or_default();
    if contacts.len() > MAX_CONTACTS {
        return Err(bad_metadata(format!("contacts has more than {MAX_CONTACTS} entries")));
    }
    let contacts = contacts.into_iter().map(|contact| text("contacts", contact)).collect::<Result<_, _>>()?;
    let secret = (auth_method != ClientAuthMethod::None).then(|| TokenSecret::generate(TokenKind::ClientSecret, entropy));
    let client = Client {
        name: metadata.client_name.map(|name| text("client_name", name)).transpose()?,
        redirect_uris,
        auth_method,
        secret: secret.as_ref().map(TokenSecret::hash),
        grant_types,
        scopes,
        client_uri: metadata.client_uri.map(|uri| web_page("client_uri", uri)).transpose()?,
        logo_uri: metadata.logo_uri.map(|uri| web_page("logo_uri", uri)).transpose()?,
        policy_uri: metadata.policy_uri.map(|uri| web_page("policy_uri", uri)).transpose()?,
        tos_uri: metadata.tos_uri.map(|uri| web_page("tos_uri", uri)).transpose()?,
        contacts,
        software_id: metadata.software_id.map(|id| text("software_id", id)).transpose()?,
        software_version: metadata.software_version.map(|version| text("software_version", version)).transpose()?,
        ..Client::new(ClientId::generate(entropy), now)
    };
    Ok(Registration { client, secret })
}

fn bad_metadata(description: impl Into<String>) -> OAuthError {
    OAuthError::new(ErrorCode::InvalidClientMetadata, description)
}

fn redirect_uris(uris: &[String]) -> Result<Vec<RedirectUri>, OAuthError> {
    let bad = |description: String| OAuthError::new(ErrorCode::InvalidRedirectUri, description);
    if uris.is_empty() {
        return Err(bad("redirect_uris needs at least one URI".to_owned()));
    }
    if uris.len() > MAX_REDIRECT_URIS {
        return Err(bad(format!("redirect_uris has more than {MAX_REDIRECT_URIS} entries")));
    }
    let parse =
        |(n, uri): (usize, &String)| RedirectUri::parse(uri).map_err(|reason| bad(format!("redirect_uris[{n}]: {reason}")));
    uris.iter().enumerate().map(parse).collect()
}

/// RFC 7591 section 2: omitted means `client_secret_basic`.
fn auth_method(method: Option<&str>) -> Result<ClientAuthMethod, OAuthError> {
    let method = method.unwrap_or(ClientAuthMethod::ClientSecretBasic.as_str());
    ClientAuthMethod::parse(method)
        .ok_or_else(|| bad_metadata("token_endpoint_auth_method must be none, client_secret_basic or client_secret_post"))
}

/// RFC 7591 section 2: omitted means `authorization_code` alone. Grant types we do not have are left out of what is registered,
/// which the response tells (section 3.2.1); but without `authorization_code` nothing would be left to do.
fn grant_types(types: Option<&[String]>) -> Result<Vec<GrantType>, OAuthError> {
    let Some(types) = types else { return Ok(vec![GrantType::AuthorizationCode]) };
    let known: Vec<_> =
        GrantType::REGISTRABLE.into_iter().filter(|known| types.iter().any(|asked| asked == known.as_str())).collect();
    if !known.contains(&GrantType::AuthorizationCode) {
        return Err(bad_metadata("grant_types must contain authorization_code"));
    }
    Ok(known)
}

fn check_response_types(types: Option<&[String]>) -> Result<(), OAuthError> {
    match types {
        None => Ok(()),
        Some(types) if types.iter().any(|response| response == "code") => Ok(()),
        Some(_) => Err(bad_metadata("response_types must contain code")),
    }
}

fn text(name: &str, text: String) -> Result<String, OAuthError> {
    if text.chars().count() > MAX_TEXT {
        return Err(bad_metadata(format!("{name} is longer than {MAX_TEXT} characters")));
    }
    if text.chars().any(char::is_control) {
        return Err(bad_metadata(format!("{name} contains control characters")));
    }
    Ok(text)
}

/// A page of the client's that a person may be shown: https only (threat 6).
fn web_page(name: &str, uri: String) -> Result<String, OAuthError> {
    let is_https = Url::parse(&uri).is_ok_and(|url| url.scheme() == "https" && url.has_host() && url.username().is_empty());
    if is_https && uri.len() <= MAX_URL && !uri.chars().any(char::is_control) {
        Ok(uri)
    } else {
        Err(bad_metadata(format!("{name} must be an https URL")))
    }
}

/// What the registration endpoint answers (RFC 7591 section 3.2.1).
#[derive(Debug, Serialize)]
pub struct RegistrationResponse<'a> {
    client_id: &'a str,
    client_id_issued_at: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_secret: Option<&'a str>,
    /// 0: the secret does not expire. Present exactly when there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    client_secret_expires_at: Option<i64>,
    redirect_uris: &'a [RedirectUri],
    token_endpoint_auth_method: &'static str,
    grant_types: Vec<&'static str>,
    response_types: [&'static str; 1],
    #[serde(skip_serializing_if = "Option::is_none")]
    client_name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_uri: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    logo_uri: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    policy_uri: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tos_uri: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<String>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    contacts: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    software_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    software_version: Option<&'a str>,
}

impl Registration {
    pub fn response(&self) -> RegistrationResponse<'_> {
        let client = &self.client;
        RegistrationResponse {
            client_id: client.id.as_str(),
            client_id_issued_at: client.created_at.as_secs(),
            client_secret: self.secret.as_ref().map(TokenSecret::expose),
            client_secret_expires_at: self.secret.as_ref().map(|_| 0),
            redirect_uris: &client.redirect_uris,
            token_endpoint_auth_method: client.auth_method.as_str(),
            grant_types: client.grant_types.iter().map(|grant| grant.as_str()).collect(),
            response_types: ["code"],
            client_name: client.name.as_deref(),
            client_uri: client.client_uri.as_deref(),
            logo_uri: client.logo_uri.as_deref(),
            policy_uri: client.policy_uri.as_deref(),
            tos_uri: client.tos_uri.as_deref(),
            scope: client.scopes.as_ref().map(ToString::to_string),
            contacts: &client.contacts,
            software_id: client.software_id.as_deref(),
            software_version: client.software_version.as_deref(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::entropy::SeededEntropy;

    fn try_register(metadata: serde_json::Value) -> Result<Registration, ErrorCode> {
        let metadata: ClientMetadata = serde_json::from_value(metadata).unwrap();
        register(metadata, Timestamp::from_secs(1_000), &SeededEntropy::new(7)).map_err(|error| error.code)
    }

    #[test]
    fn a_public_client() {
        let registration = try_register(json!({
            "redirect_uris": ["http://127.0.0.1:33418/cb"], "client_name": "Cursor", "token_endpoint_auth_method": "none",
            "grant_types": ["authorization_code", "refresh_token", "implicit"], "response_types": ["code"], "unknown": {"x": 1}
        }))
        .unwrap();
        assert!(registration.secret.is_none() && registration.client.secret.is_none());
        let response = serde_json::to_value(registration.response()).unwrap();
        assert_eq!(response["grant_types"], json!(["authorization_code", "refresh_token"]));
        assert_eq!(response["client_id_issued_at"], json!(1000));
        assert!(response.get("client_secret").is_none() && response.get("client_secret_expires_at").is_none());
    }

    #[test]
    fn defaults_are_those_of_the_rfc() {
        let registration = try_register(json!({"redirect_uris": ["https://app.example/cb"]})).unwrap();
        assert_eq!(registration.client.auth_method, ClientAuthMethod::ClientSecretBasic);
        assert_eq!(registration.client.grant_types, [GrantType::AuthorizationCode]);
        assert_eq!(registration.client.secret, registration.secret.as_ref().map(TokenSecret::hash));
        assert_eq!(serde_json::to_value(registration.response()).unwrap()["client_secret_expires_at"], json!(0));
    }

    #[test]
    fn t06_what_is_refused() {
        use ErrorCode::{InvalidClientMetadata as Metadata, InvalidRedirectUri as Redirect};
        let cases = [
            (json!({}), Redirect),
            (json!({"redirect_uris": []}), Redirect),
            (json!({"redirect_uris": ["javascript:alert(1)"]}), Redirect),
            (json!({"redirect_uris": ["https://app.example/cb", "data:text/html,x"]}), Redirect),
            (json!({"redirect_uris": ["file:///etc/passwd"]}), Redirect),
            (json!({"redirect_uris": ["http://app.example/cb"]}), Redirect),
            (json!({"redirect_uris": vec!["https://app.example/cb"; 21]}), Redirect),
            (json!({"redirect_uris": ["https://a.example/"], "client_uri": "javascript:alert(1)"}), Metadata),
            (json!({"redirect_uris": ["https://a.example/"], "logo_uri": "data:image/png;base64,AA"}), Metadata),
            (json!({"redirect_uris": ["https://a.example/"], "policy_uri": "http://a.example/"}), Metadata),
            (json!({"redirect_uris": ["https://a.example/"], "tos_uri": "file:///x"}), Metadata),
            (json!({"redirect_uris": ["https://a.example/"], "client_name": "x".repeat(257)}), Metadata),
            (json!({"redirect_uris": ["https://a.example/"], "client_name": "a\u{0}b"}), Metadata),
            (json!({"redirect_uris": ["https://a.example/"], "token_endpoint_auth_method": "tls_client_auth"}), Metadata),
            (json!({"redirect_uris": ["https://a.example/"], "grant_types": ["implicit"]}), Metadata),
            (json!({"redirect_uris": ["https://a.example/"], "response_types": ["token"]}), Metadata),
            (json!({"redirect_uris": ["https://a.example/"], "scope": "a\"b"}), Metadata),
            (json!({"redirect_uris": ["https://a.example/"], "software_statement": "e30."}), Metadata),
        ];
        for (metadata, expected) in cases {
            assert_eq!(try_register(metadata.clone()).err(), Some(expected), "{metadata}");
        }
    }
}
