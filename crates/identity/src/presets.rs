//! What the presets differ in, as a table; behaviour that a table cannot hold lives in
//! [`crate::okta`] and [`entra`].

use crate::{
    error_report::ErrorReport,
    okta,
    provider::IdentityError,
    settings::{Preset, ProviderSettings},
};

/// How a provider documents the end of its issuer identifier; `iss` is compared byte for byte with
/// it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Slash {
    /// We do not know: the setting is taken as it is.
    AsConfigured,
    Never,
    Always,
}

/// The differences of one preset.
#[derive(Debug)]
pub(crate) struct Facts {
    /// What a person calls it; `None` for the configured name.
    pub(crate) label: Option<&'static str>,
    pub(crate) slash: Slash,
    pub(crate) scopes: &'static [&'static str],
    /// Asked for when the provider's metadata offers them.
    pub(crate) scopes_if_offered: &'static [&'static str],
    pub(crate) groups_claim: &'static str,
    /// May userinfo hold groups that the ID token does not?
    pub(crate) groups_in_userinfo: bool,
    /// Is `offline_access` asked for unless the settings say otherwise? Only where people see
    /// nothing of it: elsewhere it shows a page, or needs an administrator's approval.
    pub(crate) offline_access: bool,
    /// The `prompt` that makes a person sign in afresh.
    pub(crate) fresh_prompt: &'static str,
    /// Does an answer never say which issuer it is from (RFC 9207)? False also where only the
    /// provider's metadata can tell.
    pub(crate) never_sends_iss: bool,
    /// Where an administrator finds the application.
    pub(crate) console: &'static str,
}

const GENERIC: Facts = Facts {
    label: None,
    slash: Slash::AsConfigured,
    scopes: &["openid", "profile", "email"],
    scopes_if_offered: &["groups"],
    groups_claim: "groups",
    groups_in_userinfo: true,
    offline_access: false,
    fresh_prompt: "login",
    never_sends_iss: false,
    console: "the provider's settings of this client",
};

const OKTA: Facts = Facts {
    label: Some("Okta"),
    offline_access: true,
    slash: Slash::Never,
    never_sends_iss: true,
    console: "the Okta Admin Console, Applications > Applications > this application",
    ..GENERIC
};

const GOOGLE: Facts = Facts {
    label: Some("Google"),
    slash: Slash::Never,
    scopes_if_offered: &[],
    groups_in_userinfo: false,
    fresh_prompt: "select_account",
    console: "the Google Cloud console, APIs & Services > Credentials > this client",
    ..GENERIC
};

const ENTRA: Facts = Facts {
    label: Some("Microsoft"),
    slash: Slash::Never,
    scopes_if_offered: &[],
    groups_in_userinfo: false,
    console: "the Microsoft Entra admin center, App registrations > this application",
    ..GENERIC
};

const AUTH0: Facts = Facts {
    label: Some("Auth0"),
    slash: Slash::Always,
    console: "the Auth0 dashboard, Applications > this application",
    ..GENERIC
};

const KEYCLOAK: Facts = Facts {
    label: Some("Keycloak"),
    slash: Slash::Never,
    console: "the Keycloak admin console, Clients > this client",
    ..GENERIC
};

const GITLAB: Facts = Facts {
    label: Some("GitLab"),
    slash: Slash::Never,
    scopes_if_offered: &[],
    console: "GitLab, Applications > this application",
    ..GENERIC
};

const GITHUB: Facts = Facts {
    label: Some("GitHub"),
    slash: Slash::Never,
    scopes: &["read:user", "user:email", "read:org"],
    scopes_if_offered: &[],
    never_sends_iss: true,
    console: "GitHub, Developer settings > OAuth Apps > this application",
    ..GENERIC
};

/// The tenant that all personal accounts are in.
const MICROSOFT_CONSUMERS: &str = "9188040d-6c67-4c5b-b112-36a304b66dad";

/// Is `found` the issuer that Microsoft has for a tenant which is configured by one of its domains
/// (FB23)? Its metadata names the tenant's number.
pub(crate) fn is_tenant_by_domain(preset: Preset, configured: &str, found: &str) -> bool {
    fn tenant(issuer: &str) -> Option<(&str, &str)> {
        issuer.strip_suffix("/v2.0")?.rsplit_once('/')
    }
    let is_number = |tenant: &str| {
        tenant.len() == 36 && tenant.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-')
    };
    let Some(((origin, domain), (other_origin, number))) = tenant(configured).zip(tenant(found))
    else {
        return false;
    };
    preset == Preset::MicrosoftEntraId
        && origin == other_origin
        && domain.contains('.')
        && is_number(number)
        && number != MICROSOFT_CONSUMERS
}

impl Preset {
    /// Does a provider of this kind never say in its answers which issuer they are from (RFC 9207)?
    /// Then it needs a callback of its own (threat 54).
    pub const fn never_sends_iss(self) -> bool {
        self.facts().never_sends_iss
    }

    pub(crate) const fn facts(self) -> &'static Facts {
        match self {
            Self::Okta => &OKTA,
            Self::Google => &GOOGLE,
            Self::MicrosoftEntraId => &ENTRA,
            Self::Auth0 => &AUTH0,
            Self::Keycloak => &KEYCLOAK,
            Self::Github => &GITHUB,
            Self::Gitlab => &GITLAB,
            Self::Oidc => &GENERIC,
        }
    }
}

/// The issuer identifier as the provider spells it: only a trailing slash that its documentation
/// settles is changed.
pub(crate) fn issuer(settings: &ProviderSettings) -> String {
    let bare = settings.issuer.trim_end_matches('/');
    match settings.preset.facts().slash {
        Slash::AsConfigured => settings.issuer.clone(),
        Slash::Never => bare.to_owned(),
        Slash::Always => format!("{bare}/"),
    }
}

/// What asks for a refresh token (OpenID Connect Core section 11).
pub(crate) const OFFLINE_ACCESS: &str = "offline_access";

impl ProviderSettings {
    /// Is a refresh token wanted of the provider, so that people are read anew?
    pub fn wants_refresh_token(&self) -> bool {
        let by_scopes = match &self.scopes {
            Some(scopes) => scopes.iter().any(|scope| scope == OFFLINE_ACCESS),
            None => self.preset.facts().offline_access,
        };
        self.preset != Preset::Github && self.offline_access.unwrap_or(by_scopes)
    }
}

/// The scopes to ask for; with `offline`, the one for a refresh token too, unless the metadata does
/// not offer it.
pub(crate) fn scopes_with(
    settings: &ProviderSettings,
    offered: Option<&[String]>,
    offline: bool,
) -> Vec<String> {
    let mut scopes = scopes(settings, offered);
    let is_offered =
        offered.is_none_or(|offered| offered.iter().any(|scope| scope == OFFLINE_ACCESS));
    let is_there = scopes.iter().any(|scope| scope == OFFLINE_ACCESS);
    if offline && is_offered && !is_there {
        scopes.push(OFFLINE_ACCESS.to_owned());
    }
    scopes
}

/// The scopes to ask for. `offered` is `scopes_supported` of the metadata.
pub(crate) fn scopes(settings: &ProviderSettings, offered: Option<&[String]>) -> Vec<String> {
    if let Some(scopes) = &settings.scopes {
        return scopes.clone();
    }
    let facts = settings.preset.facts();
    let mut scopes: Vec<String> = facts.scopes.iter().map(|&scope| scope.to_owned()).collect();
    for &scope in facts.scopes_if_offered {
        let always = settings.preset == Preset::Okta && okta::is_org_server(&settings.issuer);
        if always || offered.is_some_and(|offered| offered.iter().any(|offer| offer == scope)) {
            scopes.push(scope.to_owned());
        }
    }
    scopes
}

/// Does the setting name one tenant? Microsoft's shared endpoints have an issuer with a
/// placeholder, which can match no token.
pub(crate) fn check_issuer(
    settings: &ProviderSettings,
    error_report: &ErrorReport,
) -> Result<(), IdentityError> {
    if settings.preset != Preset::MicrosoftEntraId {
        return Ok(());
    }
    let shared = ["common", "organizations", "consumers", "{tenant}", "{tenantid}"];
    match settings.issuer.split('/').nth(3) {
        Some(tenant) if shared.contains(&tenant) => Err(error_report.misconfigured(
            format!("the issuer {} is shared by all tenants", settings.issuer),
            format!(
                "Set {} to your directory's own tenant id, as in https://login.microsoftonline.com/<tenant id>/v2.0 ({})",
                error_report.setting("TENANT_ID"),
                ENTRA.console
            ),
        )),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
