//! Where people sign in. [`provider`] is the port; [`connect`] makes a provider behind it from its [`settings`]. The OpenID
//! Connect ones read metadata ([`discovery`]) and keys ([`jwks`]), exchange the code ([`exchange`]) and verify the ID token
//! ([`id_token`]); [`oidc`] ties them together and [`oauth2`] does GitHub. What presets differ in is a table in [`presets`].
//! [`diagnose`] is the doctor's part.

mod blame;
mod cache;
mod claims;
pub mod diagnose;
mod discovery;
mod exchange;
mod fetch;
mod id_token;
mod jwks;
mod oauth2;
mod oidc;
mod okta;
mod presets;
pub mod provider;
pub mod settings;
mod trial;
mod userinfo;

use std::sync::Arc;

pub use diagnose::{Finding, diagnose};
pub use provider::Provider;
pub use settings::{Preset, ProviderSettings};

/// Makes the provider that `settings` describe. Nothing is asked over the network until it is used.
///
/// `http` must not follow redirects; deadlines and size limits are ours.
pub fn connect(settings: ProviderSettings, http: reqwest::Client) -> Arc<dyn Provider> {
    match settings.preset {
        Preset::Github => Arc::new(oauth2::GithubProvider::new(settings, http)),
        _ => Arc::new(oidc::OidcProvider::new(settings, http)),
    }
}
