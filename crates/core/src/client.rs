//! OAuth clients as the store keeps them (RFC 7591 section 2). How one comes to be is decided in
//! [`crate::oauth::register`].

use serde::{Deserialize, Serialize};

use crate::{
    address_block::AddressTag,
    clock::Timestamp,
    ids::ClientId,
    redirect::{self, RedirectUri},
    scope::ScopeSet,
    secret::TokenHash,
    text::Label,
};

/// How a client proves itself at the token endpoint (RFC 7591 section 2,
/// `token_endpoint_auth_method`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClientAuthMethod {
    /// A public client: PKCE alone binds the code to it.
    None,
    ClientSecretBasic,
    ClientSecretPost,
    /// A signed assertion (RFC 7523 section 2.2, OpenID Connect Core section 9).
    PrivateKeyJwt,
}

impl ClientAuthMethod {
    /// Every method the token endpoint understands: what metadata advertises and what a client may
    /// register.
    pub const SUPPORTED: [Self; 4] =
        [Self::None, Self::ClientSecretBasic, Self::ClientSecretPost, Self::PrivateKeyJwt];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::ClientSecretBasic => "client_secret_basic",
            Self::ClientSecretPost => "client_secret_post",
            Self::PrivateKeyJwt => "private_key_jwt",
        }
    }

    /// Does the client share a secret with us?
    pub const fn needs_secret(self) -> bool {
        matches!(self, Self::ClientSecretBasic | Self::ClientSecretPost)
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::SUPPORTED.into_iter().find(|method| method.as_str() == text)
    }
}

/// A grant type a client may use (RFC 7591 section 2, `grant_types`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GrantType {
    AuthorizationCode,
    RefreshToken,
    /// The client acts for itself (RFC 6749 section 4.4); for configured clients only.
    ClientCredentials,
}

impl GrantType {
    /// Every grant type the token endpoint understands. Metadata advertises the last only if there
    /// is a client that may use it.
    pub const SUPPORTED: [Self; 3] =
        [Self::AuthorizationCode, Self::RefreshToken, Self::ClientCredentials];
    /// What a client may give itself by registering; the rest is for clients in the configuration.
    pub const REGISTRABLE: [Self; 2] = [Self::AuthorizationCode, Self::RefreshToken];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AuthorizationCode => "authorization_code",
            Self::RefreshToken => "refresh_token",
            Self::ClientCredentials => "client_credentials",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::SUPPORTED.into_iter().find(|grant| grant.as_str() == text)
    }
}

/// Where a client's user sits (OpenID Connect Registration section 2, `application_type`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ApplicationType {
    /// On the user's own device: redirects to loopback addresses or private-use schemes.
    Native,
    /// On a web server: redirects to https.
    Web,
}

impl ApplicationType {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Web => "web",
        }
    }
}

/// The public keys a client signs its assertions with (RFC 7591 section 2, `jwks` and `jwks_uri`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClientKeys {
    /// A JWK Set as it was given, checked: public keys only.
    Inline(serde_json::Value),
    /// The https URL of one, for the guarded fetcher only (threat 26).
    Remote(String),
}

/// How we know of a client.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClientSource {
    /// It registered itself (RFC 7591) and is kept in the store.
    #[default]
    Registered,
    /// Its id is the URL of the document that describes it. Never stored.
    MetadataDocument,
    /// It stands in the configuration. Never stored.
    Configured,
}

/// A client.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Client {
    pub id: ClientId,
    #[serde(default)]
    pub source: ClientSource,
    /// `client_name`: shown to people, capped in length at registration, always escaped.
    pub name: Option<String>,
    /// Absent if the client did not say.
    #[serde(default)]
    pub application_type: Option<ApplicationType>,
    /// Never empty for a client that may use `authorization_code`, unless an earlier release took
    /// what is refused now.
    #[serde(deserialize_with = "redirect::deserialize_registered")]
    pub redirect_uris: Vec<RedirectUri>,
    pub auth_method: ClientAuthMethod,
    /// Present exactly when `auth_method` needs one.
    pub secret: Option<TokenHash>,
    /// Present when `auth_method` is `private_key_jwt`.
    #[serde(default)]
    pub keys: Option<ClientKeys>,
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
    /// With this secret a registered client manages itself (RFC 7592).
    #[serde(default)]
    pub registration_token: Option<TokenHash>,
    /// Configured clients only: the groups policy sees when the client acts for itself
    /// (`client_credentials`).
    #[serde(default)]
    pub groups: Vec<String>,
    /// Configured clients only: may introspect every token (RFC 7662).
    #[serde(default)]
    pub trusted: bool,
    /// Where it registered from. Of the never-used clients the oldest of the address that has most
    /// go first (threat 55).
    #[serde(default)]
    pub registered_from: Option<AddressTag>,
    pub created_at: Timestamp,
    /// When the client last redeemed a code; a client that never did is purged after its time.
    pub last_used_at: Option<Timestamp>,
}

impl Client {
    /// Which application a registration is of: one that registers itself anew, with the same name
    /// and redirect URIs, is the same (FB77). `None` for who has no name, and for documents and
    /// configured clients, whose id stays.
    pub fn application(&self) -> Option<TokenHash> {
        let name = self.name.as_deref().filter(|_| self.source == ClientSource::Registered)?;
        let mut uris: Vec<&str> = self.redirect_uris.iter().map(RedirectUri::as_str).collect();
        uris.sort_unstable();
        uris.dedup();
        // No URI has a space in it; a name may have anything.
        Some(TokenHash::of(&format!("application v1 {} {} {name}", uris.len(), uris.join(" "))))
    }

    /// A public client that has registered nothing yet: the start of every way clients come to be.
    pub const fn new(id: ClientId, created_at: Timestamp) -> Self {
        Self {
            id,
            source: ClientSource::Registered,
            name: None,
            application_type: None,
            redirect_uris: Vec::new(),
            auth_method: ClientAuthMethod::None,
            secret: None,
            keys: None,
            grant_types: Vec::new(),
            scopes: None,
            client_uri: None,
            logo_uri: None,
            policy_uri: None,
            tos_uri: None,
            contacts: Vec::new(),
            software_id: None,
            software_version: None,
            registration_token: None,
            groups: Vec::new(),
            trusted: false,
            registered_from: None,
            created_at,
            last_used_at: None,
        }
    }

    /// What to call this client on a page. A name of which nothing can be seen is none.
    pub fn display_name(&self) -> &str {
        self.name
            .as_deref()
            .filter(|name| !Label::new(name).is_empty())
            .unwrap_or("An unnamed application")
    }

    /// Does the client prove itself before it is given tokens (RFC 6749 section 2.1)?
    pub fn is_confidential(&self) -> bool {
        self.auth_method != ClientAuthMethod::None
    }

    pub fn may_use(&self, grant: GrantType) -> bool {
        self.grant_types.contains(&grant)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_of_the_first_schema_still_read() {
        let stored = r#"{"id":"ptn_client_x","name":null,"redirect_uris":["https://app.example/cb"],"auth_method":"none",
            "secret":null,"grant_types":["authorization_code"],"scopes":null,"client_uri":null,"logo_uri":null,
            "policy_uri":null,"tos_uri":null,"contacts":[],"software_id":null,"software_version":null,
            "created_at":0,"last_used_at":null}"#;
        let client: Client = serde_json::from_str(stored).unwrap();
        let redirect_uris = vec![RedirectUri::parse("https://app.example/cb").unwrap()];
        let grant_types = vec![GrantType::AuthorizationCode];
        let blank = Client::new(ClientId::from_text("ptn_client_x"), Timestamp::from_secs(0));
        assert_eq!(client, Client { redirect_uris, grant_types, ..blank });
    }

    #[test]
    fn names_on_the_wire_are_those_of_the_records() {
        for method in [
            ClientAuthMethod::None,
            ClientAuthMethod::ClientSecretBasic,
            ClientAuthMethod::PrivateKeyJwt,
        ] {
            assert_eq!(serde_json::to_value(method).unwrap(), method.as_str());
        }
        for grant in
            [GrantType::AuthorizationCode, GrantType::RefreshToken, GrantType::ClientCredentials]
        {
            assert_eq!(serde_json::to_value(grant).unwrap(), grant.as_str());
        }
    }

    #[test]
    fn fb77_an_application_is_its_name_and_its_redirect_uris() {
        let client = |id: &str, name: Option<&str>, uris: &[&str]| Client {
            name: name.map(str::to_owned),
            redirect_uris: uris.iter().map(|uri| RedirectUri::parse(uri).unwrap()).collect(),
            ..Client::new(ClientId::from_text(id), Timestamp::from_secs(0))
        };
        let (web, local) = ("https://app.example/cb", "http://localhost:3118/callback");
        let known = client("one", Some("Editor"), &[web, local]).application().unwrap();
        let cases = [
            (Some("Editor"), vec![web, local], true),
            (Some("Editor"), vec![local, web], true),
            (Some("Editor "), vec![web, local], false),
            (Some("editor"), vec![web, local], false),
            (Some("Editor"), vec![web], false),
            (Some("Editor"), vec![web, local, "https://evil.example/cb"], false),
            (Some("Editor"), vec![web, "http://localhost:3119/callback"], false),
            (None, vec![web, local], false),
        ];
        for (name, uris, is_same) in cases {
            assert_eq!(
                client("two", name, &uris).application() == Some(known),
                is_same,
                "{name:?} {uris:?}"
            );
        }
        // What is left out of one part is not made up by the other.
        let moved = client("two", Some(&format!("{local} Editor")), &[web]);
        assert_ne!(moved.application(), client("two", Some("Editor"), &[local, web]).application());
        let configured =
            Client { source: ClientSource::Configured, ..client("one", Some("Editor"), &[web]) };
        assert_eq!(configured.application(), None, "its id stays");
    }
}
