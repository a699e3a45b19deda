//! Where people sign in. [`provider`] is the port; [`connect`] makes a provider behind it from its
//! [`settings`]. The OpenID Connect ones read metadata ([`discovery`]) and keys ([`jwks`]),
//! exchange the code ([`exchange`]) and verify the ID token ([`id_token`]); [`oidc`] ties them
//! together and [`oauth2`] does GitHub. What presets differ in is a table in [`presets`].
//! [`diagnose`] is the doctor's part.

mod cache;
mod claims;
pub mod diagnose;
mod discovery;
mod error_report;
mod exchange;
mod fetch;
mod id_token;
mod jwks;
mod oauth2;
mod oidc;
mod okta;
mod presets;
mod probe;
pub mod provider;
mod reach;
pub mod settings;
mod userinfo;

use std::sync::Arc;

pub use diagnose::{Finding, Ours, State, diagnose, diagnose_gently, of_last_sign_in};
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

/// Does the verification of ID tokens refuse this one, with these keys? For fuzzing: strangers
/// write both.
#[doc(hidden)]
pub fn refuses(token: &str, key_set: &[u8], now: portunus_core::Timestamp) -> bool {
    let Ok(keys) = jwks::KeySet::parse(key_set) else { return true };
    let algorithms = id_token::ALLOWED.map(|(_, algorithm)| algorithm);
    let nonce = portunus_core::secret::SecretText::new("nonce");
    let expected = id_token::Expected {
        issuer: "https://idp.example",
        client_id: "client",
        nonce: Some(&nonce),
        algorithms: &algorithms,
    };
    id_token::verify(token, &expected, &keys, now).is_err()
}
