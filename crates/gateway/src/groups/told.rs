//! How groups of a provider's people stay true, in words for an administrator (`portunus check`).

use portunus_core::{lifetimes::Lifetimes, settings::quantity::show_duration};
use portunus_identity::{Preset, ProviderSettings};

/// Whether the provider is asked again, and how long what it said counts.
pub fn told(settings: &ProviderSettings, lifetimes: &Lifetimes) -> String {
    let bound = lifetimes.groups.map_or_else(
        || "as of the sign-in for as long as the grant: set lifetimes.groups".to_owned(),
        |most| format!("as of the sign-in for {}, then people sign in again", show_duration(most)),
    );
    if !settings.wants_refresh_token() {
        return match settings.preset {
            Preset::Github => bound,
            _ => format!("{bound} (offline_access: true has them read anew)"),
        };
    }
    let okta = match settings.preset {
        Preset::Okta => " (in Okta the application needs the grant type Refresh Token)",
        _ => "",
    };
    let pause = show_duration(lifetimes.groups_pause());
    format!("read anew every {pause} with a refresh token{okta}, else {bound}")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use portunus_core::{ids::ProviderName, secret::SecretText};

    use super::*;

    #[test]
    fn what_check_says_of_groups() {
        let settings = |preset, offline_access| ProviderSettings {
            name: ProviderName::from_text("idp"),
            preset,
            client_id: "client".to_owned(),
            client_secret: Some(SecretText::new("secret")),
            issuer: "https://idp.example".to_owned(),
            internal_url: None,
            scopes: None,
            offline_access,
            groups_claim: None,
            redirect_uri: None,
        };
        let bounded = Lifetimes::default();
        let short = Lifetimes { groups: Some(Duration::from_secs(600)), ..bounded };
        let off = Lifetimes { groups: None, ..bounded };
        let cases = [
            (Preset::Okta, None, bounded, "read anew every 15m with a refresh token (in Okta the"),
            (Preset::Okta, None, short, "read anew every 5m with"),
            (
                Preset::Okta,
                Some(false),
                bounded,
                "as of the sign-in for 7d, then people sign in again (off",
            ),
            (
                Preset::Keycloak,
                None,
                off,
                "as of the sign-in for as long as the grant: set lifetimes.groups (off",
            ),
            (
                Preset::Keycloak,
                Some(true),
                bounded,
                "read anew every 15m with a refresh token, else as of",
            ),
            (
                Preset::Github,
                Some(true),
                bounded,
                "as of the sign-in for 7d, then people sign in again",
            ),
        ];
        for (preset, offline_access, lifetimes, expected) in cases {
            let told = told(&settings(preset, offline_access), &lifetimes);
            assert!(told.starts_with(expected), "{preset:?}: {told}");
        }
    }
}
