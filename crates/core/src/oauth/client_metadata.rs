//! Client metadata (RFC 7591 section 2): what a client says of itself, and what may be said (threats 6, 13). The same rules hold
//! for a client that registers ([`super::register`]), changes its registration ([`super::manage`]), or lives in a document
//! ([`super::document`]).

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::Deserialize;
use serde_json::{Map, Value};
use url::Url;

use crate::{
    client::{ApplicationType, Client, ClientAuthMethod, GrantType},
    oauth::{ErrorCode, OAuthError, jwks},
    redirect::RedirectUri,
    scope::ScopeSet,
};

const MAX_REDIRECT_URIS: usize = 20;
const MAX_TEXT: usize = 256;
const MAX_URL: usize = 2048;
const MAX_CONTACTS: usize = 10;

/// Client metadata as it was sent. A member that is null counts as left out (RFC 7592 section 2.2); members we do not use, names
/// in further languages (`client_name#de`) among them, are ignored, as RFC 7591 section 2 asks.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct ClientMetadata {
    pub redirect_uris: Option<Vec<String>>,
    pub token_endpoint_auth_method: Option<String>,
    pub grant_types: Option<Vec<String>>,
    pub response_types: Option<Vec<String>>,
    pub application_type: Option<String>,
    pub client_name: Option<String>,
    pub client_uri: Option<String>,
    pub logo_uri: Option<String>,
    pub policy_uri: Option<String>,
    pub tos_uri: Option<String>,
    pub scope: Option<String>,
    pub contacts: Option<Vec<String>>,
    pub jwks: Option<Value>,
    pub jwks_uri: Option<String>,
    pub software_id: Option<String>,
    pub software_version: Option<String>,
    pub software_statement: Option<String>,
}

impl ClientMetadata {
    /// Reads the body of a registration request: one JSON object, each member once.
    pub fn parse(body: &[u8]) -> Result<Self, OAuthError> {
        // A reader of structures takes lists too: what is no object is turned away first.
        if body.trim_ascii_start().first() != Some(&b'{') {
            return Err(bad_metadata("the metadata must be a JSON object"));
        }
        serde_json::from_slice(body).map_err(|error| bad_metadata(format!("the metadata cannot be read: {error}")))
    }

    /// Checks everything, and gives `client` with all of it in place of what it was before. Secrets are not touched: whoever
    /// calls keeps them in step with the authentication method.
    pub fn describe(self, client: Client) -> Result<Client, OAuthError> {
        if let Some(statement) = &self.software_statement {
            return Err(refuse_statement(statement));
        }
        let redirect_uris = redirect_uris(self.redirect_uris.as_deref().unwrap_or_default())?;
        let application_type = application_type(self.application_type.as_deref(), &redirect_uris)?;
        let auth_method = auth_method(self.token_endpoint_auth_method.as_deref())?;
        let keys = jwks::client_keys(self.jwks, self.jwks_uri).map_err(|bad| bad_metadata(bad.to_string()))?;
        if auth_method == ClientAuthMethod::PrivateKeyJwt && keys.is_none() {
            return Err(bad_metadata("private_key_jwt needs jwks or jwks_uri"));
        }
        check_response_types(self.response_types.as_deref())?;
        let scopes = self.scope.as_deref().map(ScopeSet::parse).transpose().map_err(|bad| bad_metadata(bad.to_string()))?;
        let contacts = self.contacts.unwrap_or_default();
        if contacts.len() > MAX_CONTACTS {
            return Err(bad_metadata(format!("contacts has more than {MAX_CONTACTS} entries")));
        }
        Ok(Client {
            name: self.client_name.map(|name| text("client_name", name)).transpose()?,
            application_type: Some(application_type),
            redirect_uris,
            auth_method,
            keys,
            grant_types: grant_types(self.grant_types.as_deref())?,
            scopes,
            client_uri: self.client_uri.map(|uri| web_page("client_uri", uri)).transpose()?,
            logo_uri: self.logo_uri.map(|uri| web_page("logo_uri", uri)).transpose()?,
            policy_uri: self.policy_uri.map(|uri| web_page("policy_uri", uri)).transpose()?,
            tos_uri: self.tos_uri.map(|uri| web_page("tos_uri", uri)).transpose()?,
            contacts: contacts.into_iter().map(|contact| text("contacts", contact)).collect::<Result<_, _>>()?,
            software_id: self.software_id.map(|id| text("software_id", id)).transpose()?,
            software_version: self.software_version.map(|version| text("software_version", version)).transpose()?,
            ..client
        })
    }
}

pub(super) fn bad_metadata(description: impl Into<String>) -> OAuthError {
    OAuthError::new(ErrorCode::InvalidClientMetadata, description)
}

fn bad_redirect(description: impl Into<String>) -> OAuthError {
    OAuthError::new(ErrorCode::InvalidRedirectUri, description)
}

/// We trust nobody to vouch for software: a statement that is well-formed is not approved, any other is invalid (RFC 7591
/// section 3.2.2).
fn refuse_statement(statement: &str) -> OAuthError {
    let is_object = |part: &str| {
        let decoded = URL_SAFE_NO_PAD.decode(part).ok();
        decoded.is_some_and(|bytes| serde_json::from_slice::<Map<String, Value>>(&bytes).is_ok())
    };
    let parts: Vec<&str> = statement.split('.').collect();
    if let [header, claims, _signature] = parts[..]
        && is_object(header)
        && is_object(claims)
    {
        let description = "no issuer of software statements is trusted here; send the metadata itself";
        return OAuthError::new(ErrorCode::UnapprovedSoftwareStatement, description);
    }
    OAuthError::new(ErrorCode::InvalidSoftwareStatement, "software_statement is not a signed JWT; send the metadata itself")
}

fn redirect_uris(uris: &[String]) -> Result<Vec<RedirectUri>, OAuthError> {
    if uris.is_empty() {
        return Err(bad_redirect("redirect_uris needs at least one URI"));
    }
    if uris.len() > MAX_REDIRECT_URIS {
        return Err(bad_redirect(format!("redirect_uris has more than {MAX_REDIRECT_URIS} entries")));
    }
    let parse = |(n, uri): (usize, &String)| {
        RedirectUri::parse(uri).map_err(|reason| bad_redirect(format!("redirect_uris[{n}]: {reason}")))
    };
    uris.iter().enumerate().map(parse).collect()
}

/// `web` (OpenID Connect Registration section 2) means https on other machines only. `native` sets no limit beyond
/// [`RedirectUri`]'s own: an https URI that the system hands to an app is native too (RFC 8252 section 7.2). A client that does not say is what its
/// redirect URIs show, not `web`: many native clients never say.
fn application_type(asked: Option<&str>, uris: &[RedirectUri]) -> Result<ApplicationType, OAuthError> {
    let of_a_device = |uri: &RedirectUri| !uri.is_on_the_web();
    match asked {
        None if uris.iter().any(of_a_device) => Ok(ApplicationType::Native),
        None => Ok(ApplicationType::Web),
        Some("native") => Ok(ApplicationType::Native),
        Some("web") => match uris.iter().position(of_a_device) {
            None => Ok(ApplicationType::Web),
            Some(n) => Err(bad_redirect(format!(
                "redirect_uris[{n}]: a web application needs https and a host that is not local; application_type native allows more"
            ))),
        },
        Some(_) => Err(bad_metadata("application_type must be native or web")),
    }
}

/// RFC 7591 section 2: omitted means `client_secret_basic`.
fn auth_method(method: Option<&str>) -> Result<ClientAuthMethod, OAuthError> {
    let method = method.unwrap_or(ClientAuthMethod::ClientSecretBasic.as_str());
    ClientAuthMethod::parse(method).ok_or_else(|| {
        let known = ClientAuthMethod::SUPPORTED.map(ClientAuthMethod::as_str).join(", ");
        bad_metadata(format!("token_endpoint_auth_method must be one of {known}"))
    })
}

/// RFC 7591 section 2: omitted means `authorization_code` alone. Grant types we do not have are left out of what is registered,
/// which the response tells (section 3.2.1); but without `authorization_code` nothing would be left to do.
fn grant_types(types: Option<&[String]>) -> Result<Vec<GrantType>, OAuthError> {
    let Some(types) = types else { return Ok(vec![GrantType::AuthorizationCode]) };
    let is_asked = |known: &GrantType| types.iter().any(|asked| asked == known.as_str());
    let known: Vec<_> = GrantType::REGISTRABLE.into_iter().filter(is_asked).collect();
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
    if is_https_url(&uri) { Ok(uri) } else { Err(bad_metadata(format!("{name} must be an https URL"))) }
}

/// An https URL that is written out: parsers also take `https:app.example` and `https:///app.example`, people do not expect it. It is
/// shown and never followed, so its spelling is its client's own affair otherwise.
fn is_https_url(text: &str) -> bool {
    let is_plain = text.len() <= MAX_URL && !text.chars().any(|c| c.is_control() || c.is_whitespace() || c == '\\');
    let written_out = text.get(..8).filter(|start| start.eq_ignore_ascii_case("https://")).and_then(|_| text.get(8..));
    let authority = written_out.and_then(|rest| rest.split(['/', '?', '#']).next()).unwrap_or_default();
    is_plain && !authority.is_empty() && !authority.contains('@') && Url::parse(text).is_ok_and(|url| url.has_host())
}

#[cfg(test)]
mod tests;
