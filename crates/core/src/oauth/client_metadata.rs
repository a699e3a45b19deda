//! Client metadata (RFC 7591 section 2): what a client says of itself, and what may be said
//! (threats 6, 13). The same rules hold for a client that registers ([`super::register`]), changes
//! its registration ([`super::manage`]), or lives in a document ([`super::document`]).

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::Deserialize;
use serde_json::{Map, Value};
use url::Url;

use crate::{
    client::{ApplicationType, Client, ClientAuthMethod, GrantType},
    oauth::{ErrorCode, OAuthError, jwks},
    redirect::{self, BadRedirectUri, RedirectUri, Schemes},
    scope::ScopeSet,
};

const MAX_REDIRECT_URIS: usize = 20;
const MAX_TEXT: usize = 256;
const MAX_URL: usize = 2048;
const MAX_CONTACTS: usize = 10;

/// Client metadata as it was sent. A member that is null counts as left out (RFC 7592 section 2.2);
/// members we do not use, names in further languages (`client_name#de`) among them, are ignored, as
/// RFC 7591 section 2 asks.
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
        serde_json::from_slice(body)
            .map_err(|error| bad_metadata(format!("the metadata cannot be read: {error}")))
    }

    /// Checks everything, and gives `client` with all of it in place of what it was before. Secrets
    /// are not touched: the caller keeps them in step with the authentication method.
    ///
    /// What is only shown to people, and cannot be shown, is left out, and so are redirect URIs of
    /// a scheme that is not known here beside others that may be registered; one that would do harm
    /// is refused with all of them. The answer tells the client what was registered (RFC 7591
    /// section 3.2.1, FB12). `schemes` are those that redirect URIs may have here.
    pub fn describe(self, client: Client, schemes: &Schemes) -> Result<Client, OAuthError> {
        let this = self.without_empty_members();
        this.describe_filled(client, schemes)
    }

    /// An empty text says nothing: it counts as left out.
    fn without_empty_members(mut self) -> Self {
        let texts = [
            &mut self.token_endpoint_auth_method,
            &mut self.application_type,
            &mut self.client_name,
            &mut self.client_uri,
            &mut self.logo_uri,
            &mut self.policy_uri,
            &mut self.tos_uri,
            &mut self.scope,
            &mut self.jwks_uri,
            &mut self.software_id,
            &mut self.software_version,
            &mut self.software_statement,
        ];
        for text in texts {
            if text.as_ref().is_some_and(|text| text.trim().is_empty()) {
                *text = None;
            }
        }
        let lists = [
            &mut self.redirect_uris,
            &mut self.grant_types,
            &mut self.response_types,
            &mut self.contacts,
        ];
        for list in lists.into_iter().flatten() {
            list.retain(|entry| !entry.trim().is_empty());
        }
        for list in [&mut self.grant_types, &mut self.response_types] {
            if list.as_ref().is_some_and(Vec::is_empty) {
                *list = None;
            }
        }
        if self.jwks.as_ref().is_some_and(|keys| keys.as_str().is_some_and(str::is_empty)) {
            self.jwks = None;
        }
        self
    }

    fn describe_filled(self, client: Client, schemes: &Schemes) -> Result<Client, OAuthError> {
        if let Some(statement) = &self.software_statement {
            return Err(refuse_statement(statement));
        }
        let mut redirect_uris =
            redirect_uris(self.redirect_uris.as_deref().unwrap_or_default(), schemes)?;
        let application_type =
            application_type(self.application_type.as_deref(), &mut redirect_uris)?;
        let auth_method = auth_method(self.token_endpoint_auth_method.as_deref())?;
        let keys = jwks::client_keys(self.jwks, self.jwks_uri)
            .map_err(|bad| bad_metadata(bad.to_string()))?;
        if auth_method == ClientAuthMethod::PrivateKeyJwt && keys.is_none() {
            return Err(bad_metadata("private_key_jwt needs jwks or jwks_uri"));
        }
        check_response_types(self.response_types.as_deref())?;
        let scopes = self
            .scope
            .as_deref()
            .map(ScopeSet::parse)
            .transpose()
            .map_err(|bad| bad_metadata(bad.to_string()))?;
        let contacts = self.contacts.unwrap_or_default();
        if contacts.len() > MAX_CONTACTS {
            return Err(bad_metadata(format!("contacts has more than {MAX_CONTACTS} entries")));
        }
        Ok(Client {
            name: self.client_name.map(name).transpose()?,
            application_type: Some(application_type),
            redirect_uris,
            auth_method,
            keys,
            grant_types: grant_types(self.grant_types.as_deref())?,
            scopes,
            client_uri: web_page("client_uri", self.client_uri)?,
            logo_uri: web_page("logo_uri", self.logo_uri)?,
            policy_uri: web_page("policy_uri", self.policy_uri)?,
            tos_uri: web_page("tos_uri", self.tos_uri)?,
            contacts: contacts.into_iter().filter(|contact| is_text(contact)).collect(),
            software_id: self.software_id.filter(|id| is_text(id)),
            software_version: self.software_version.filter(|version| is_text(version)),
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

/// Refuses a software statement, since no issuer of them is trusted here: a well-formed one is not
/// approved, any other is invalid (RFC 7591 section 3.2.2).
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
        let description =
            "no issuer of software statements is trusted here; send the metadata itself";
        return OAuthError::new(ErrorCode::UnapprovedSoftwareStatement, description);
    }
    OAuthError::new(
        ErrorCode::InvalidSoftwareStatement,
        "software_statement is not a signed JWT; send the metadata itself",
    )
}

fn redirect_uris(uris: &[String], schemes: &Schemes) -> Result<Vec<RedirectUri>, OAuthError> {
    if uris.is_empty() {
        return Err(bad_redirect("redirect_uris needs at least one URI"));
    }
    if uris.len() > MAX_REDIRECT_URIS {
        return Err(bad_redirect(format!(
            "redirect_uris has more than {MAX_REDIRECT_URIS} entries"
        )));
    }
    let mut good = Vec::with_capacity(uris.len());
    let mut odd = None;
    for (n, uri) in uris.iter().enumerate() {
        match RedirectUri::parse_by(uri, schemes) {
            Ok(uri) => good.push(uri),
            Err(reason) => {
                let is_odd = reason == BadRedirectUri::Scheme && !redirect::is_dangerous(uri);
                let problem = bad_redirect(format!("redirect_uris[{n}]: {reason}"));
                if !is_odd {
                    return Err(problem);
                }
                odd = odd.or(Some(problem));
            }
        }
    }
    match odd {
        Some(problem) if good.is_empty() => Err(problem),
        _ => Ok(good),
    }
}

/// `web` (OpenID Connect Registration section 2) means https on other machines only. `native` sets
/// no limit beyond [`RedirectUri`]'s own: an https URI that the system hands to an app is native
/// too (RFC 8252 section 7.2). A client that does not say is what its redirect URIs show, not
/// `web`: many native clients never say.
fn application_type(
    asked: Option<&str>,
    uris: &mut Vec<RedirectUri>,
) -> Result<ApplicationType, OAuthError> {
    let of_a_device = |uri: &RedirectUri| !uri.is_on_the_web();
    match asked {
        None if uris.iter().any(of_a_device) => Ok(ApplicationType::Native),
        None => Ok(ApplicationType::Web),
        Some("native") => Ok(ApplicationType::Native),
        Some("web") if uris.iter().all(of_a_device) => Err(bad_redirect(
            "redirect_uris: a web application needs https and a host that is not local; application_type native allows more",
        )),
        Some("web") => {
            uris.retain(RedirectUri::is_on_the_web);
            Ok(ApplicationType::Web)
        }
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

/// RFC 7591 section 2: omitted means `authorization_code` alone. Grant types we do not have are
/// left out of what is registered, which the response tells (section 3.2.1); but without
/// `authorization_code` nothing would be left to do.
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

/// The name is what a person knows the client by: one that cannot be shown as it is, is refused.
fn name(name: String) -> Result<String, OAuthError> {
    if is_text(&name) {
        return Ok(name);
    }
    Err(bad_metadata(format!(
        "client_name must have at most {MAX_TEXT} characters, none of them control characters"
    )))
}

/// A text that can be shown on a page.
fn is_text(text: &str) -> bool {
    text.chars().count() <= MAX_TEXT && !text.chars().any(char::is_control)
}

/// A page of the client's that a person may be shown: an https URL (threat 6). Others are left out,
/// but for those that would do harm.
fn web_page(member: &str, uri: Option<String>) -> Result<Option<String>, OAuthError> {
    match uri {
        Some(uri) if is_https_url(&uri) => Ok(Some(uri)),
        Some(uri) if redirect::does_harm(&uri) => {
            Err(bad_metadata(format!("{member} must be an https URL")))
        }
        _ => Ok(None),
    }
}

/// An https URL that is written out: parsers also take `https:app.example` and
/// `https:///app.example`, people do not expect it. It is shown and never followed, so its spelling
/// is its client's own affair otherwise.
fn is_https_url(text: &str) -> bool {
    let is_plain = text.len() <= MAX_URL
        && !text.chars().any(|c| c.is_control() || c.is_whitespace() || c == '\\');
    let written_out = text
        .get(..8)
        .filter(|start| start.eq_ignore_ascii_case("https://"))
        .and_then(|_| text.get(8..));
    let authority =
        written_out.and_then(|rest| rest.split(['/', '?', '#']).next()).unwrap_or_default();
    is_plain
        && !authority.is_empty()
        && !authority.contains('@')
        && Url::parse(text).is_ok_and(|url| url.has_host())
}

#[cfg(test)]
mod tests;
