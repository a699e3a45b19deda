//! The doctor's part (`portunus check`): asks a provider everything that a sign-in would need of
//! it, and says of each setting what was found and what to change. It signs no user in. The
//! requests are made in [`crate::probe`].

use std::time::{Duration, Instant};

use portunus_core::ids::ProviderName;

use crate::{
    error_report::ErrorReport,
    fetch::DEADLINE,
    oauth2::GithubProvider,
    oidc::{GROUPS_ADVICE, OidcProvider},
    okta, presets,
    probe::Verdict,
    provider::{IdentityError, Provider as _},
    settings::{Preset, ProviderSettings},
};

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    pub state: State,
    /// The setting it is about: `AUTH_OKTA_ISSUER`; or `redirect URI`, which is registered at the
    /// provider.
    pub setting: String,
    pub found: String,
    pub advice: Option<String>,
}

/// What comes of a finding. What could not be found out is never "fine" (FB69, FB87).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Fine,
    Wrong,
    Unknown,
}

/// Our addresses, which must be registered at the provider.
#[derive(Clone, Copy, Debug)]
pub struct Ours<'a> {
    /// Where it sends people who signed in.
    pub callback: &'a str,
    /// Where it sends people who signed out.
    pub signed_out: &'a str,
}

impl Finding {
    pub fn is_wrong(&self) -> bool {
        self.state == State::Wrong
    }

    fn of<T>(
        setting: impl Into<String>,
        found: impl Into<String>,
        result: &Result<T, IdentityError>,
    ) -> Self {
        Self::judged(setting, found, &result.as_ref().map(|_| Verdict::Fine).map_err(Clone::clone))
    }

    fn judged(
        setting: impl Into<String>,
        found: impl Into<String>,
        verdict: &Result<Verdict, IdentityError>,
    ) -> Self {
        let (setting, found) = (setting.into(), found.into());
        match verdict {
            Ok(Verdict::Fine) => Self { state: State::Fine, setting, found, advice: None },
            Ok(Verdict::Unknown(why)) => Self {
                state: State::Unknown,
                setting,
                found: format!("{found}: {why}"),
                advice: Some("It could not be found out from here: sign in once to see".to_owned()),
            },
            Err(error) => {
                let (found, advice) = parts(error);
                Self { state: State::Wrong, setting, found, advice: Some(advice) }
            }
        }
    }
}

fn parts(error: &IdentityError) -> (String, String) {
    match error {
        IdentityError::Refused { error, description, hint, .. } => {
            (format!("{error} ({description})"), hint.clone())
        }
        IdentityError::Unavailable { detail, hint, .. }
        | IdentityError::Misconfigured { detail, hint, .. } => (detail.clone(), hint.clone()),
        IdentityError::Unverified { detail, .. } => {
            (detail.clone(), "Look into the gateway's log".to_owned())
        }
    }
}

/// Asks the provider that `settings` describe. Findings come in the order in which a sign-in would
/// meet them, and end where it could not go on. A code that was never issued is offered to the
/// token endpoint, which the provider may log as a failure.
pub async fn diagnose(
    settings: ProviderSettings,
    http: &reqwest::Client,
    ours: Ours<'_>,
) -> Vec<Finding> {
    examine(settings, http, Some(ours)).await
}

/// The part of it that no provider takes for a failed sign-in: metadata and keys. For what asks at
/// every start. GitHub has neither.
pub async fn diagnose_gently(settings: ProviderSettings, http: &reqwest::Client) -> Vec<Finding> {
    examine(settings, http, None).await
}

/// What the last sign-in at this provider told of groups (FB65): nothing that is asked from here
/// can tell it. It is no mistake for certain: that person may have none.
pub fn of_last_sign_in(provider: &ProviderName, who: &str, no_groups: &str) -> Finding {
    Finding {
        state: State::Unknown,
        setting: ErrorReport::new(provider.clone()).setting("GROUPS_CLAIM"),
        found: format!("at the last sign-in, of {who}, the configured groups claim {no_groups}"),
        advice: Some(format!("{GROUPS_ADVICE}. Then sign in once more")),
    }
}

async fn examine(
    settings: ProviderSettings,
    http: &reqwest::Client,
    ours: Option<Ours<'_>>,
) -> Vec<Finding> {
    if settings.preset == Preset::Github {
        return match ours {
            Some(ours) => {
                diagnose_github(&GithubProvider::new(settings, http.clone()), ours.callback).await
            }
            None => Vec::new(),
        };
    }
    let groups = settings.clone();
    let provider = OidcProvider::new(settings, http.clone());
    let error_report = provider.error_report();
    let metadata = provider.in_time(provider.metadata()).await;
    let issuer = metadata
        .as_ref()
        .map_or_else(|_| groups.issuer.clone(), |metadata| metadata.issuer.clone());
    let mut findings = vec![Finding::of(error_report.setting("ISSUER"), issuer, &metadata)];
    let Ok(metadata) = metadata else { return findings };
    let began = Instant::now();
    let keys = provider.in_time(provider.keys(&metadata)).await;
    let for_keys = began.elapsed();
    findings.push(Finding::of(
        error_report.setting("ISSUER"),
        format!("its signing keys can be read, in {}", shown(for_keys)),
        &keys,
    ));
    let Some(ours) = ours else { return findings };
    let authorization =
        provider.in_time(provider.try_authorization(&metadata, ours.callback)).await;
    findings.push(Finding::judged("redirect URI", ours.callback, &authorization));
    let began = Instant::now();
    let secret = provider.in_time(provider.try_secret(&metadata, ours.callback)).await;
    let for_token = began.elapsed();
    let found =
        format!("the token endpoint knows this client and its secret, in {}", shown(for_token));
    findings.push(Finding::of(error_report.setting("SECRET"), found, &secret));
    if secret.is_ok() && provider.is_secret_checked(&metadata, ours.callback).await == Some(false) {
        findings.push(Finding {
            state: State::Wrong,
            setting: error_report.setting("SECRET"),
            found: "the token endpoint takes any secret: it does not check it".to_owned(),
            advice: Some("Make the client a confidential one at the provider (Keycloak: Client authentication), or take the secret out here".to_owned()),
        });
    }
    findings.extend(pace(for_token.max(for_keys), error_report));
    let sign_out = provider.in_time(provider.try_sign_out(&metadata, ours.signed_out)).await;
    if let Some(sign_out) = sign_out.transpose() {
        findings.push(Finding::judged("sign-out redirect URI", ours.signed_out, &sign_out));
    }
    findings.extend(groups_scope(&groups, metadata.scopes_supported.as_deref(), error_report));
    findings
}

fn shown(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}

/// A person waits for the token endpoint, and for keys when they are new. `None`: it is quick
/// enough to say no more of it.
fn pace(slowest: Duration, error_report: &ErrorReport) -> Option<Finding> {
    (slowest > DEADLINE / 2).then(|| Finding {
        state: if slowest > DEADLINE.mul_f64(0.8) { State::Wrong } else { State::Unknown },
        setting: error_report.setting("ISSUER"),
        found: format!("the provider is slow: {} for one answer", shown(slowest)),
        advice: Some(format!(
            "A sign-in is given up after {}: find out why the provider, or the way to it, takes so long",
            shown(DEADLINE)
        )),
    })
}

async fn diagnose_github(provider: &GithubProvider, redirect_uri: &str) -> Vec<Finding> {
    let error_report = provider.error_report();
    let api = provider.probe(redirect_uri).await;
    let mut findings = vec![Finding::of(error_report.setting("ISSUER"), "the API answers", &api)];
    if api.is_ok() {
        let secret = provider.try_secret(redirect_uri).await;
        findings.push(Finding::of(
            error_report.setting("SECRET"),
            "the token endpoint knows this client and its secret",
            &secret,
        ));
    }
    findings
}

/// A custom Okta server without the scope `groups` is fine, if its claim comes without it: worth a
/// word.
fn groups_scope(
    settings: &ProviderSettings,
    offered: Option<&[String]>,
    error_report: &ErrorReport,
) -> Option<Finding> {
    let asks = presets::scopes(settings, offered).iter().any(|scope| scope == "groups");
    let is_custom_okta = settings.preset == Preset::Okta && !okta::is_org_server(&settings.issuer);
    (is_custom_okta && !asks).then(|| Finding {
        state: State::Fine,
        setting: error_report.setting("SCOPES"),
        found: "the scope `groups` is not asked for: this server does not offer it".to_owned(),
        advice: Some(
            "For rules by group, add a claim `groups` to its ID tokens, for any scope: Security > API > Authorization Servers > this \
             server > Claims"
                .to_owned(),
        ),
    })
}
