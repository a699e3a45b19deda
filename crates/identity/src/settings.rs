//! Settings of one provider, as the gateway's configuration resolves them. What is made of them
//! lives in [`crate::provider`].

use portunus_core::{ids::ProviderName, secret::SecretText};
use url::Url;

/// Which kind of provider, and with it the defaults for issuer, scopes and groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Preset {
    Okta,
    Google,
    /// `azure-ad` and `microsoft-entra-id`.
    MicrosoftEntraId,
    Auth0,
    Keycloak,
    /// OAuth 2.0 without OpenID Connect.
    Github,
    Gitlab,
    /// Any other name: generic OpenID Connect with an explicit issuer.
    Oidc,
}

/// Settings of one provider. Debug output never shows the secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProviderSettings {
    pub name: ProviderName,
    pub preset: Preset,
    pub client_id: String,
    pub client_secret: Option<SecretText>,
    /// Checked to be an https URL, or http on a loopback host. For GitHub: its base URL,
    /// `https://github.com` by default.
    pub issuer: String,
    /// Where this gateway reaches the provider, if not at the issuer's address: scheme, host and
    /// port (FB71).
    pub internal_url: Option<Url>,
    /// The scopes to ask for in place of the preset's own.
    pub scopes: Option<Vec<String>>,
    /// Whether to ask for a refresh token, so that groups can be read anew; `None` leaves it to the
    /// preset.
    pub offline_access: Option<bool>,
    /// The claim that lists groups; `groups` by default.
    pub groups_claim: Option<String>,
    /// `OKTA_REDIRECT_URI`: a callback other than `{public_url}/auth/callback/{name}`.
    pub redirect_uri: Option<String>,
}
