//! The doctor's part (`portunus check`): asks a provider everything that a sign-in would need of it, and says of each setting
//! what was found and what to change. Nobody is signed in. The requests are made in [`crate::trial`].

use crate::{
    blame::Blame,
    oauth2::GithubProvider,
    oidc::OidcProvider,
    okta, presets,
    provider::{IdentityError, Provider as _},
    settings::{Preset, ProviderSettings},
};

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    pub ok: bool,
    /// The setting it is about: `AUTH_OKTA_ISSUER`; or `redirect URI`, which is registered at the provider.
    pub setting: String,
    pub found: String,
    pub advice: Option<String>,
}

impl Finding {
    fn of<T>(setting: impl Into<String>, found: impl Into<String>, result: &Result<T, IdentityError>) -> Self {
        let (setting, found) = (setting.into(), found.into());
        match result {
            Ok(_) => Self { ok: true, setting, found, advice: None },
            Err(error) => {
                let (found, advice) = parts(error);
                Self { ok: false, setting, found, advice: Some(advice) }
            }
        }
    }
}

fn parts(error: &IdentityError) -> (String, String) {
    match error {
        IdentityError::Refused { error, description, hint, .. } => (format!("{error} ({description})"), hint.clone()),
        IdentityError::Unavailable { detail, hint, .. } | IdentityError::Misconfigured { detail, hint, .. } => {
            (detail.clone(), hint.clone())
        }
        IdentityError::Unverified { detail, .. } => (detail.clone(), "Look into the gateway's log".to_owned()),
    }
}

/// Asks the provider that `settings` describe. Findings come in the order in which a sign-in would meet them, and end where it
/// could not go on. A code that was never issued is offered to the token endpoint, which the provider may log as a failure.
pub async fn diagnose(settings: ProviderSettings, http: &reqwest::Client, redirect_uri: &str) -> Vec<Finding> {
    if settings.preset == Preset::Github {
        return diagnose_github(&GithubProvider::new(settings, http.clone()), redirect_uri).await;
    }
    let groups = settings.clone();
    let provider = OidcProvider::new(settings, http.clone());
    let blame = provider.blame();
    let metadata = provider.in_time(provider.metadata()).await;
    let issuer = metadata.as_ref().map_or_else(|_| groups.issuer.clone(), |metadata| metadata.issuer.clone());
    let mut findings = vec![Finding::of(blame.setting("ISSUER"), issuer, &metadata)];
    let Ok(metadata) = metadata else { return findings };
    let keys = provider.in_time(provider.keys(&metadata)).await;
    findings.push(Finding::of(blame.setting("ISSUER"), "its signing keys can be read", &keys));
    let authorization = provider.in_time(provider.try_authorization(&metadata, redirect_uri)).await;
    findings.push(Finding::of("redirect URI", redirect_uri, &authorization));
    let secret = provider.in_time(provider.try_secret(&metadata, redirect_uri)).await;
    findings.push(Finding::of(blame.setting("SECRET"), "the token endpoint knows this client and its secret", &secret));
    findings.extend(groups_scope(&groups, metadata.scopes_supported.as_deref(), blame));
    findings
}

async fn diagnose_github(provider: &GithubProvider, redirect_uri: &str) -> Vec<Finding> {
    let blame = provider.blame();
    let api = provider.probe(redirect_uri).await;
    let mut findings = vec![Finding::of(blame.setting("ISSUER"), "the API answers", &api)];
    if api.is_ok() {
        let secret = provider.try_secret(redirect_uri).await;
        findings.push(Finding::of(blame.setting("SECRET"), "the token endpoint knows this client and its secret", &secret));
    }
    findings
}

/// A custom Okta server without the scope `groups` is fine, if its claim comes without it: worth a word.
fn groups_scope(settings: &ProviderSettings, offered: Option<&[String]>, blame: &Blame) -> Option<Finding> {
    let asks = presets::scopes(settings, offered).iter().any(|scope| scope == "groups");
    let is_custom_okta = settings.preset == Preset::Okta && !okta::is_org_server(&settings.issuer);
    (is_custom_okta && !asks).then(|| Finding {
        ok: true,
        setting: blame.setting("SCOPES"),
        found: "the scope `groups` is not asked for: this server does not offer it".to_owned(),
        advice: Some(
            "For rules by group, add a claim `groups` to its ID tokens, for any scope: Security > API > Authorization Servers > this \
             server > Claims"
                .to_owned(),
        ),
    })
}
