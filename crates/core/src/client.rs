//! OAuth clients as the store keeps them (RFC 7591 section 2). How one comes to be is decided in [`crate::oauth::register`].

use serde::{Deserialize, Serialize};

use crate::{clock::Timestamp, ids::ClientId, redirect::RedirectUri, scope::ScopeSet, secret::TokenHash};

/// How a client proves itself at the token endpoint (RFC 7591 section 2, `token_endpoint_auth_method`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClientAuthMethod {
    /// A public client: PKCE alone binds the code to it.
    None,
    ClientSecretBasic,
    ClientSecretPost,
}

impl ClientAuthMethod {
    pub const ALL: [Self; 3] = [Self::None, Self::ClientSecretBasic, Self::ClientSecretPost];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::ClientSecretBasic => "client_secret_basic",
            Self::ClientSecretPost => "client_secret_post",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|method| method.as_str() == text)
    }
}

/// A grant type a client may use (RFC 7591 section 2, `grant_types`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GrantType {
    AuthorizationCode,
    RefreshToken,
}

impl GrantType {
    pub const ALL: [Self; 2] = [Self::AuthorizationCode, Self::RefreshToken];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AuthorizationCode => "authorization_code",
            Self::RefreshToken => "refresh_token",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|grant| grant.as_str() == text)
    }
}

/// A registered client.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Client {
    pub id: ClientId,
    /// `client_name`: shown to people, capped in length at registration, always escaped.
    pub name: Option<String>,
    /// Never empty.
    pub redirect_uris: Vec<RedirectUri>,
    pub auth_method: ClientAuthMethod,
    /// Present exactly when `auth_method` needs one.
    pub secret: Option<TokenHash>,
    pub grant_types: Vec<GrantType>,
    /// The scopes this client may ask for; `None` sets no limit of its own.
    pub scopes: Option<ScopeSet>,
    /// https only, shown as text, never fetched.
    pub client_uri: Option<String>,
    pub logo_uri: Option<String>,
    pub policy_uri: Option<String>,
    pub tos_uri: Option<String>,
    pub contacts: Vec<String>,
    pub software_id: Option<String>,
    pub software_version: Option<String>,
    pub created_at: Timestamp,
    /// When the client last redeemed a code; a client that never did is purged after its time.
    pub last_used_at: Option<Timestamp>,
}

impl Client {
    /// What to call this client on a page.
    pub fn display_name(&self) -> &str {
        self.name.as_deref().unwrap_or("An unnamed application")
    }

    pub fn may_use(&self, grant: GrantType) -> bool {
        self.grant_types.contains(&grant)
    }
}
