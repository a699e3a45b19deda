//! What makes an issuer of an identity provider good, and how to mend one that is not. Whether
//! a provider answers there is for `portunus check --online` to find out.

use portunus_identity::settings::Preset;
use url::{Host, Url};

use super::{
    inputs::Written, mistake::Report, placeholder::is_placeholder, server::without_credentials,
};

/// The issuer of providers that have just one.
pub(super) const fn default_of(preset: Preset) -> Option<&'static str> {
    match preset {
        Preset::Google => Some("https://accounts.google.com"),
        Preset::Github => Some("https://github.com"),
        Preset::Gitlab => Some("https://gitlab.com"),
        _ => None,
    }
}

/// What an issuer of this kind looks like.
pub(super) const fn example_of(preset: Preset) -> &'static str {
    match preset {
        Preset::Okta => {
            "the issuer, such as https://acme.okta.com (the org) or https://acme.okta.com/oauth2/default"
        }
        Preset::Google => "https://accounts.google.com",
        Preset::MicrosoftEntraId => {
            "the issuer, such as https://login.microsoftonline.com/{tenant}/v2.0"
        }
        Preset::Auth0 => "the issuer, such as https://acme.eu.auth0.com/",
        Preset::Keycloak => "the issuer: https://keycloak.acme.com/realms/{realm}",
        Preset::Github => "https://github.com, or your own GitHub's URL",
        Preset::Gitlab => "https://gitlab.com, or your own GitLab's URL",
        Preset::Oidc => "the issuer, as its /.well-known/openid-configuration has it",
    }
}

/// Takes an issuer, byte for byte, or reports how to mend it.
pub(super) fn check(preset: Preset, written: Written, report: &mut Report) -> Option<String> {
    let Written { mut text, at, variable } = written;
    if is_placeholder(&text) || is_placeholder(&format!("//{text}")) {
        report.mistake(at, format!("`{text}`, still the example value"), example_of(preset));
        return None;
    }
    // The variable of the Go system is an address more than an issuer: people write just the host.
    if matches!(variable, Some("OKTA_URL" | "OAUTH_OKTA_URL")) && !text.contains("://") {
        text = format!("https://{text}");
    }
    match fault(preset, &text) {
        None => Some(text),
        Some(expected) => {
            report.mistake(at, format!("`{}`", without_credentials(&text)), expected);
            None
        }
    }
}

fn fault(preset: Preset, text: &str) -> Option<String> {
    let Ok(url) = Url::parse(text) else {
        return Some(format!("a URL that starts with https://: {}", example_of(preset)));
    };
    if url.scheme() != "https" && !(url.scheme() == "http" && is_loopback(&url)) {
        return Some(format!(
            "https: `https://{}`",
            text.split_once("://").map_or(text, |(_, rest)| rest)
        ));
    }
    if !url.username().is_empty()
        || url.password().is_some()
        || url.query().is_some()
        || url.fragment().is_some()
    {
        return Some("an issuer without user name, password, query or fragment".to_owned());
    }
    if let Some((issuer, _)) = text.split_once("/.well-known") {
        return Some(format!(
            "the issuer alone, which is what stands before /.well-known: `{issuer}`"
        ));
    }
    match preset {
        Preset::Okta => okta_fault(&url, text),
        Preset::Keycloak if !url.path().contains("/realms/") => Some(example_of(preset).to_owned()),
        Preset::MicrosoftEntraId => {
            let tenant = url
                .path_segments()
                .and_then(|mut segments| segments.next().map(str::to_owned))
                .unwrap_or_default();
            is_many_tenants(&tenant).then(|| ONE_TENANT.to_owned())
        }
        _ => None,
    }
}

/// The mistakes people make with Okta, each with what to write instead.
fn okta_fault(url: &Url, text: &str) -> Option<String> {
    let host = url.host_str().unwrap_or_default();
    if let Some((org, domain)) = host.split_once("-admin.")
        && domain.starts_with("okta")
    {
        return Some(format!(
            "your Okta domain without `-admin`: `{}`",
            text.replacen(host, &format!("{org}.{domain}"), 1)
        ));
    }
    if text.ends_with('/') {
        return Some(format!(
            "no slash at its end, just as Okta writes it: `{}`",
            text.trim_end_matches('/')
        ));
    }
    let segments: Vec<&str> =
        url.path().trim_matches('/').split('/').filter(|segment| !segment.is_empty()).collect();
    let origin = url.origin().ascii_serialization();
    match segments[..] {
        [] | ["oauth2", _] => None,
        ["oauth2"] => Some(format!(
            "`{origin}` (the org's server), or `{origin}/oauth2/default` (a custom one)"
        )),
        ["oauth2", "v1", ..] => Some(format!("the issuer alone, not an endpoint: `{origin}`")),
        ["oauth2", id, ..] => {
            Some(format!("the issuer alone, not an endpoint: `{origin}/oauth2/{id}`"))
        }
        _ => Some(example_of(Preset::Okta).to_owned()),
    }
}

const ONE_TENANT: &str = "one tenant, by its ID or domain: with `common`, `organizations` or `consumers` anybody with a Microsoft account could sign in";

fn is_many_tenants(tenant: &str) -> bool {
    matches!(tenant, "common" | "organizations" | "consumers")
}

/// The issuer of a Microsoft tenant.
pub(super) fn of_tenant(Written { text, at, .. }: &Written, report: &mut Report) -> Option<String> {
    let is_plain = !text.is_empty()
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.'));
    let expected = if is_placeholder(text) || !is_plain {
        "your tenant: its ID or its domain, such as acme.onmicrosoft.com"
    } else if is_many_tenants(text) {
        ONE_TENANT
    } else {
        return Some(format!("https://login.microsoftonline.com/{text}/v2.0"));
    };
    report.mistake(at.clone(), format!("`{text}`"), expected);
    None
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}
