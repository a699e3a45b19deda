//! What a preset fills in, by provider and setting.

use portunus_core::ids::ProviderName;

use super::*;

fn settings(preset: Preset, issuer: &str) -> ProviderSettings {
    ProviderSettings {
        name: ProviderName::from_text("x"),
        preset,
        client_id: "id".to_owned(),
        client_secret: None,
        issuer: issuer.to_owned(),
        scopes: None,
        offline_access: None,
        groups_claim: None,
        internal_url: None,
        redirect_uri: None,
    }
}

#[test]
fn issuers_end_as_their_provider_documents() {
    let cases = [
        (Preset::Okta, "https://acme.okta.com/", "https://acme.okta.com"),
        (
            Preset::Okta,
            "https://acme.okta.com/oauth2/default",
            "https://acme.okta.com/oauth2/default",
        ),
        (Preset::Auth0, "https://acme.eu.auth0.com", "https://acme.eu.auth0.com/"),
        (Preset::Auth0, "https://acme.eu.auth0.com/", "https://acme.eu.auth0.com/"),
        (
            Preset::Keycloak,
            "https://sso.acme.example/realms/acme/",
            "https://sso.acme.example/realms/acme",
        ),
        (Preset::Oidc, "https://sso.acme.example/", "https://sso.acme.example/"),
        (Preset::Oidc, "https://sso.acme.example", "https://sso.acme.example"),
    ];
    for (preset, configured, expected) in cases {
        assert_eq!(issuer(&settings(preset, configured)), expected, "{preset:?}");
    }
}

#[test]
fn the_groups_scope_is_asked_for_where_it_is_known() {
    let offered = ["openid", "groups"].map(str::to_owned);
    let cases = [
        (Preset::Okta, "https://acme.okta.com", None, true),
        (Preset::Okta, "https://acme.okta.com/oauth2/default", None, false),
        (Preset::Okta, "https://acme.okta.com/oauth2/default", Some(&offered[..]), true),
        (Preset::Oidc, "https://sso.acme.example", Some(&offered[..]), true),
        (Preset::Oidc, "https://sso.acme.example", Some(&offered[..1]), false),
        (Preset::Google, "https://accounts.google.com", Some(&offered[..]), false),
    ];
    for (preset, issuer, offered, expected) in cases {
        let asked = scopes(&settings(preset, issuer), offered);
        assert_eq!(
            asked.contains(&"groups".to_owned()),
            expected,
            "{preset:?} {issuer} {offered:?}"
        );
        assert!(asked.starts_with(&["openid".to_owned()]));
    }
    let own = ProviderSettings {
        scopes: Some(vec!["openid".to_owned()]),
        ..settings(Preset::Okta, "https://acme.okta.com")
    };
    assert_eq!(scopes(&own, Some(&offered)), ["openid"], "the setting is taken as it is");
}

#[test]
fn one_tenant_of_microsofts_is_fine() {
    let error_report = ErrorReport::new(ProviderName::from_text("microsoft-entra-id"));
    let check =
        |issuer: &str| check_issuer(&settings(Preset::MicrosoftEntraId, issuer), &error_report);
    assert!(
        check("https://login.microsoftonline.com/9188040d-6c67-4c5b-b112-36a304b66dad/v2.0")
            .is_ok()
    );
    let error = check("https://login.microsoftonline.com/common/v2.0").unwrap_err().to_string();
    assert!(error.contains("AUTH_MICROSOFT_ENTRA_ID_TENANT_ID"), "{error}");
}

#[test]
fn fb23_a_tenant_that_is_configured_by_its_domain() {
    let number = "https://login.microsoftonline.com/0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9/v2.0";
    let consumers = "https://login.microsoftonline.com/9188040d-6c67-4c5b-b112-36a304b66dad/v2.0";
    for (preset, configured, found, fits) in [
        (Preset::MicrosoftEntraId, "https://login.microsoftonline.com/acme.com/v2.0", number, true),
        (
            Preset::MicrosoftEntraId,
            "https://login.microsoftonline.com/acme.onmicrosoft.com/v2.0",
            number,
            true,
        ),
        // Personal accounts are no company's tenant (threat 53).
        (
            Preset::MicrosoftEntraId,
            "https://login.microsoftonline.com/outlook.com/v2.0",
            consumers,
            false,
        ),
        (Preset::MicrosoftEntraId, "https://login.microsoftonline.com/common/v2.0", number, false),
        (
            Preset::MicrosoftEntraId,
            "https://login.microsoftonline.com/acme.com/v2.0",
            "https://evil.example/0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9/v2.0",
            false,
        ),
        (
            Preset::MicrosoftEntraId,
            "https://login.microsoftonline.com/acme.com/v2.0",
            "https://login.microsoftonline.com/other.com/v2.0",
            false,
        ),
        (Preset::Oidc, "https://login.microsoftonline.com/acme.com/v2.0", number, false),
    ] {
        assert_eq!(is_tenant_by_domain(preset, configured, found), fits, "{configured} {found}");
    }
}
