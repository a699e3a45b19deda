//! Clients that live in a document (OAuth Client ID Metadata Document; MCP 2026-07-28, client
//! registration): the URL is the id, the document is the registration. Which URLs can be one, and
//! what a document must say. Fetching it, within bounds of size, time and address, is the
//! gateway's; whether its owner is welcome is decided in [`super::registration_policy`].

use std::fmt;

use serde::{Deserialize, de::IgnoredAny};
use thiserror::Error;
use url::{Host, Url};

use crate::{
    client::{Client, ClientSource},
    clock::Timestamp,
    ids::ClientId,
    oauth::{OAuthError, client_metadata::ClientMetadata},
    redirect::Schemes,
};

const MAX_URL: usize = 2048;

/// The URL of a client's metadata document, in its one spelling.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct DocumentUrl(Url);

/// Why a `client_id` that looks like a URL cannot be a document's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum BadDocumentUrl {
    #[error("a client_id that is a URL must be an https URL")]
    NotHttps,
    #[error(
        "a client_id that is a URL must be spelt the canonical way: no dot segments, no default port, a host in small letters"
    )]
    Spelling,
    #[error("a client_id that is a URL must have a path, such as https://app.example/client.json")]
    NoPath,
    #[error("a client_id that is a URL must have no user name, password, query and fragment")]
    Parts,
    #[error("a client_id that is a URL must have at most {MAX_URL} characters")]
    TooLong,
}

impl DocumentUrl {
    /// Accepts an https URL with a path and without user name, password, query and fragment, spelt
    /// as a parser of URLs would spell it: so that one document has one id, and what was checked is
    /// what is fetched (threats 26, 29).
    pub fn parse(text: &str) -> Result<Self, BadDocumentUrl> {
        if text.len() > MAX_URL {
            return Err(BadDocumentUrl::TooLong);
        }
        let url = Url::parse(text)
            .ok()
            .filter(|url| url.scheme() == "https")
            .ok_or(BadDocumentUrl::NotHttps)?;
        // The parser forgets an empty user name or password; the text does not.
        let authority = text.split('/').nth(2).unwrap_or_default();
        if url.query().is_some() || url.fragment().is_some() || authority.contains('@') {
            return Err(BadDocumentUrl::Parts);
        }
        if url.path() == "/" {
            return Err(BadDocumentUrl::NoPath);
        }
        let ends_in_a_dot = matches!(url.host(), Some(Host::Domain(name)) if name.ends_with('.'));
        if url.as_str() != text || ends_in_a_dot {
            return Err(BadDocumentUrl::Spelling);
        }
        Ok(Self(url))
    }

    pub const fn url(&self) -> &Url {
        &self.0
    }

    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// The host, for a list of those that are welcome and for people to recognise.
    pub fn host(&self) -> &str {
        self.0.host_str().unwrap_or_default()
    }
}

/// Hosts at which makers of clients keep their documents: what cannot be reached there cannot be
/// reached at all.
const KNOWN_MAKERS: [&str; 9] = [
    "anthropic.com",
    "chatgpt.com",
    "claude.ai",
    "claude.com",
    "cursor.com",
    "github.com",
    "openai.com",
    "visualstudio.com",
    "vscode.dev",
];

impl DocumentUrl {
    /// Is there certainly a server at this host?
    pub fn is_of_a_known_maker(&self) -> bool {
        let host = self.host();
        KNOWN_MAKERS.iter().any(|maker| {
            host.strip_suffix(maker).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
        })
    }
}

impl fmt::Display for DocumentUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why a document makes no client.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum BadDocument {
    /// The detail may quote the document: for the log.
    #[error("the client metadata document is not the JSON object it must be: {0}")]
    Json(String),
    #[error("client_id in the client metadata document is not the URL it was fetched from")]
    ClientId,
    #[error("the client metadata document has no client_name")]
    NoName,
    #[error("the client metadata document has no redirect_uris")]
    NoRedirectUris,
    #[error(
        "a client that lives in a document can have no secret: its token_endpoint_auth_method must be none or private_key_jwt"
    )]
    SharedSecret,
    #[error("the client metadata document: {0}")]
    Metadata(#[from] OAuthError),
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Document {
    client_id: Option<String>,
    client_secret: Option<IgnoredAny>,
    client_secret_expires_at: Option<IgnoredAny>,
    #[serde(flatten)]
    metadata: ClientMetadata,
}

/// Makes a client of the document that was fetched from `url`.
pub fn client_of(
    url: &DocumentUrl,
    json: &[u8],
    now: Timestamp,
    schemes: &Schemes,
) -> Result<Client, BadDocument> {
    let Document { client_id, client_secret, client_secret_expires_at, metadata } =
        serde_json::from_slice(json).map_err(|error| BadDocument::Json(error.to_string()))?;
    if client_id.as_deref() != Some(url.as_str()) {
        return Err(BadDocument::ClientId);
    }
    if metadata.client_name.as_deref().is_none_or(|name| name.trim().is_empty()) {
        return Err(BadDocument::NoName);
    }
    if metadata.redirect_uris.is_none() {
        return Err(BadDocument::NoRedirectUris);
    }
    let is_shared = |method: &str| method.starts_with("client_secret");
    let method = metadata
        .token_endpoint_auth_method
        .as_deref()
        .filter(|method| !method.trim().is_empty())
        .unwrap_or("none");
    if client_secret.is_some() || client_secret_expires_at.is_some() || is_shared(method) {
        return Err(BadDocument::SharedSecret);
    }
    // RFC 7591's default, a shared secret, cannot be meant here.
    let metadata =
        ClientMetadata { token_endpoint_auth_method: Some(method.to_owned()), ..metadata };
    let blank = Client {
        source: ClientSource::MetadataDocument,
        ..Client::new(ClientId::from_text(url.as_str()), now)
    };
    let client = metadata.describe(blank, schemes)?;
    let own = |page: Option<String>| page.filter(|page| is_of(url, page));
    Ok(Client {
        client_uri: own(client.client_uri),
        logo_uri: own(client.logo_uri),
        policy_uri: own(client.policy_uri),
        tos_uri: own(client.tos_uri),
        ..client
    })
}

/// Is the page of the document's own origin? A stranger's page would lend the client a name that is
/// not its own.
fn is_of(url: &DocumentUrl, page: &str) -> bool {
    Url::parse(page).is_ok_and(|page| page.origin() == url.0.origin())
}

#[cfg(test)]
mod tests;
