//! A provider by its name: what the name means by itself, and what it makes of the names of
//! variables. Which providers there are is decided in [`super::providers`]; their settings are read
//! in [`super::provider`] and [`super::allow`].

use portunus_identity::settings::Preset;

use super::{document::Item, mistake::Where};

/// The presets, by the names that they have in the configuration.
pub(super) const PRESETS: &[&str] = &[
    "okta",
    "google",
    "azure-ad",
    "microsoft-entra-id",
    "auth0",
    "keycloak",
    "github",
    "gitlab",
    "oidc",
];

/// The preset of a name; `None` for a name of one's own.
pub(super) fn preset_of(name: &str) -> Option<Preset> {
    Some(match name {
        "okta" => Preset::Okta,
        "google" => Preset::Google,
        "azure-ad" | "microsoft-entra-id" => Preset::MicrosoftEntraId,
        "auth0" => Preset::Auth0,
        "keycloak" => Preset::Keycloak,
        "github" => Preset::Github,
        "gitlab" => Preset::Gitlab,
        "oidc" => Preset::Oidc,
        _ => return None,
    })
}

/// A provider that was named somewhere.
pub(super) struct Named<'a> {
    pub(super) name: String,
    /// Where it was named.
    pub(super) at: Where,
    /// Its entry in `config.yaml`, if it has one.
    pub(super) item: Option<Item<'a>>,
}

/// The start of a provider's variables, by the Auth.js naming: `azure-ad` has `AUTH_AZURE_AD_…`.
pub(super) fn prefix(name: &str) -> String {
    format!("AUTH_{}_", name.to_ascii_uppercase().replace('-', "_"))
}
