//! Okta says no, or was set up wrong: who can mend it, and what they are told.

use portunus_core::secret::SecretText;
use portunus_identity::{
    Finding, Ours, Preset, ProviderSettings, diagnose,
    provider::{IdentityError, PROVIDER_ERROR, TOO_MANY_GROUPS},
};
use portunus_testkit::okta::{FakeOkta, Options, Person};

use crate::browser::{REDIRECT, SignInFixture, http, settings};

#[tokio::test]
async fn somebody_not_assigned_is_told_so() {
    let fixture = SignInFixture::org(Options::default()).await;
    fixture.okta.sign_in_as("carol");
    let error = fixture.sign_in().await.unwrap_err();
    assert!(
        matches!(&error, IdentityError::Refused { error, .. } if error == "access_denied"),
        "{error:?}"
    );
    assert!(error.to_string().contains("Assign the person"), "{error}");
    assert!(error.public_message().contains("not be assigned to this application"));
}

#[tokio::test]
async fn too_many_groups_reach_the_person_as_an_explanation() {
    let fixture = SignInFixture::org(Options::default()).await;
    let groups: Vec<String> = (0..101).map(|n| format!("group-{n}")).collect();
    fixture.okta.put_person(Person { groups, ..Person::new("alice", &[]) });
    let error = fixture.sign_in().await.unwrap_err();
    assert!(
        matches!(&error, IdentityError::Refused { error, .. } if error == TOO_MANY_GROUPS),
        "{error:?}"
    );
    assert!(error.to_string().contains("at most 100 groups"), "{error}");
    assert!(error.public_message().contains("more groups than"));
}

#[tokio::test]
async fn a_scope_that_a_custom_server_does_not_know() {
    let okta = FakeOkta::start(Options::default()).await;
    let issuer = okta.custom_issuer("default");
    let scopes = Some(vec!["openid".to_owned(), "groups".to_owned()]);
    let fixture =
        SignInFixture::with(okta, |okta| ProviderSettings { scopes, ..settings(okta, issuer) });
    let error = fixture.sign_in().await.unwrap_err();
    assert!(matches!(error, IdentityError::Misconfigured { .. }), "{error:?}");
    let text = error.to_string();
    assert!(text.contains("Authorization Servers") && text.contains("AUTH_OKTA_SCOPES"), "{text}");
}

#[tokio::test]
async fn errors_at_the_redirect_uri_are_sorted_by_who_can_mend_them() {
    let refused = [
        "access_denied",
        "login_required",
        "consent_required",
        "interaction_required",
        "something_new",
    ];
    // It is reached: it had an error.
    let theirs = ["temporarily_unavailable", "server_error"];
    let misconfigured =
        ["invalid_scope", "invalid_request", "unauthorized_client", "unsupported_response_type"];
    let fixture = SignInFixture::org(Options::default()).await;
    for name in refused.iter().chain(&misconfigured).chain(&theirs) {
        fixture.okta.refuse_next(name, "Because.\r\nset-cookie: x");
        let error = fixture.sign_in().await.unwrap_err();
        let fits = match &error {
            IdentityError::Refused { error, .. } if theirs.contains(name) => {
                error == PROVIDER_ERROR
            }
            IdentityError::Refused { error, .. } => refused.contains(name) && error == name,
            IdentityError::Misconfigured { .. } => misconfigured.contains(name),
            IdentityError::Unavailable { .. } | IdentityError::Unverified { .. } => false,
        };
        assert!(fits, "{name}: {error:?}");
        let text = error.to_string();
        assert!(
            text.contains("Because.") && !text.contains('\n') && !text.contains('\r'),
            "{text:?}"
        );
    }
}

#[tokio::test]
async fn a_wrong_secret_names_the_setting() {
    let fixture = SignInFixture::org(Options::default()).await;
    fixture.okta.rotate_secret("another secret");
    let error = fixture.sign_in().await.unwrap_err();
    assert!(matches!(error, IdentityError::Misconfigured { .. }), "{error:?}");
    assert!(error.to_string().contains("AUTH_OKTA_SECRET"), "{error}");
}

#[tokio::test]
async fn a_missing_secret_is_invalid_client_too() {
    let okta = FakeOkta::start(Options::default()).await;
    let issuer = okta.org_issuer();
    let fixture = SignInFixture::with(okta, |okta| ProviderSettings {
        client_secret: None,
        ..settings(okta, issuer)
    });
    let error = fixture.sign_in().await.unwrap_err();
    assert!(error.to_string().contains("AUTH_OKTA_SECRET"), "{error}");
}

#[tokio::test]
async fn issuers_that_do_not_fit_name_the_setting_and_both_values() {
    let okta = FakeOkta::start(Options::default()).await;
    let (org, custom) = (okta.org_issuer(), okta.custom_issuer("nobody"));
    let localhost = org.replace("127.0.0.1", "localhost");
    let fixture = SignInFixture::with(okta, |okta| settings(okta, localhost.clone()));
    let error =
        fixture.authorization_url(&fixture.provider_request()).await.unwrap_err().to_string();
    for part in [&org, &localhost, "AUTH_OKTA_ISSUER"] {
        assert!(error.contains(part), "{error}");
    }

    let okta = FakeOkta::start(Options::default()).await;
    let custom_there = okta.custom_issuer("nobody");
    let fixture = SignInFixture::with(okta, |okta| settings(okta, custom_there));
    let error = fixture.authorization_url(&fixture.provider_request()).await.unwrap_err();
    assert!(matches!(error, IdentityError::Misconfigured { .. }), "{error:?} {custom}");
    let text = error.to_string();
    assert!(
        text.contains(&format!("set AUTH_OKTA_ISSUER to {}", fixture.okta.org_issuer())),
        "{text}"
    );
}

#[tokio::test]
async fn the_generic_preset_takes_the_issuer_as_it_is_spelt() {
    let okta = FakeOkta::start(Options::default()).await;
    let issuer = format!("{}/", okta.org_issuer());
    let fixture = SignInFixture::with(okta, |okta| ProviderSettings {
        preset: Preset::Oidc,
        ..settings(okta, issuer)
    });
    let error = fixture.authorization_url(&fixture.provider_request()).await.unwrap_err();
    assert!(matches!(error, IdentityError::Misconfigured { .. }), "{error:?}");
}

#[tokio::test]
async fn an_unregistered_redirect_is_a_page_of_oktas() {
    let fixture = SignInFixture::org(Options::default()).await;
    let url = fixture.authorization_url(&fixture.provider_request()).await.unwrap();
    let elsewhere = url.as_str().replace("callback%2Fokta", "callback%2Felse");
    let answer = http().get(elsewhere).send().await.unwrap();
    assert_eq!(answer.status(), 400);
    assert!(answer.text().await.unwrap().contains("must be a Login redirect URI"));
}

#[tokio::test]
async fn the_probe_foresees_what_a_sign_in_would_meet() {
    let fixture = SignInFixture::org(Options::default()).await;
    fixture.provider.probe(REDIRECT).await.unwrap();
    fixture.okta.sign_out_everybody();
    fixture.provider.probe(REDIRECT).await.unwrap();

    let error = fixture.provider.probe("http://localhost:3000/auth/callback").await.unwrap_err();
    assert!(matches!(error, IdentityError::Misconfigured { .. }), "{error:?}");
    let text = error.to_string();
    assert!(
        text.contains("http://localhost:3000/auth/callback")
            && text.contains("Sign-in redirect URIs"),
        "{text}"
    );
}

fn ours(callback: &str) -> Ours<'_> {
    Ours { callback, signed_out: "http://localhost:3000/auth/signout" }
}

#[tokio::test]
async fn the_doctor_finds_what_is_right_and_what_is_wrong() {
    let okta = FakeOkta::start(Options::default()).await;
    okta.register_redirect(REDIRECT);
    let right = settings(&okta, okta.org_issuer());
    let findings = diagnose(right.clone(), &http(), ours(REDIRECT)).await;
    assert!(!findings.iter().any(Finding::is_wrong), "{findings:?}");

    let wrong_secret =
        ProviderSettings { client_secret: Some(SecretText::new("wrong")), ..right.clone() };
    let wrong_issuer = ProviderSettings { issuer: okta.custom_issuer("nobody"), ..right.clone() };
    let cases = [
        (wrong_secret, REDIRECT, "AUTH_OKTA_SECRET"),
        (wrong_issuer, REDIRECT, "AUTH_OKTA_ISSUER"),
        (right, "http://localhost:3000/elsewhere", "redirect URI"),
    ];
    for (settings, redirect_uri, setting) in cases {
        let findings = diagnose(settings, &http(), ours(redirect_uri)).await;
        let wrong: Vec<_> = findings.iter().filter(|finding| finding.is_wrong()).collect();
        assert_eq!(wrong.len(), 1, "{findings:?}");
        assert_eq!(wrong[0].setting, setting);
        assert!(!wrong[0].found.is_empty() && wrong[0].advice.is_some(), "{findings:?}");
    }
}

#[tokio::test]
async fn the_probe_foresees_unknown_scopes_and_clients() {
    let okta = FakeOkta::start(Options::default()).await;
    let issuer = okta.custom_issuer("default");
    let scopes = Some(vec!["openid".to_owned(), "groups".to_owned()]);
    let fixture =
        SignInFixture::with(okta, |okta| ProviderSettings { scopes, ..settings(okta, issuer) });
    let error = fixture.provider.probe(REDIRECT).await.unwrap_err();
    assert!(error.to_string().contains("AUTH_OKTA_SCOPES"), "{error}");

    let okta = FakeOkta::start(Options::default()).await;
    let issuer = okta.org_issuer();
    let client_id = "0oa-nobody".to_owned();
    let fixture =
        SignInFixture::with(okta, |okta| ProviderSettings { client_id, ..settings(okta, issuer) });
    let error = fixture.provider.probe(REDIRECT).await.unwrap_err();
    assert!(error.to_string().contains("AUTH_OKTA_ID"), "{error}");
}

#[tokio::test]
async fn microsofts_shared_endpoints_are_refused() {
    let okta = FakeOkta::start(Options::default()).await;
    for tenant in ["common", "organizations", "consumers"] {
        let settings = ProviderSettings {
            preset: Preset::MicrosoftEntraId,
            name: portunus_core::ids::ProviderName::from_text("azure-ad"),
            client_secret: Some(SecretText::new("x")),
            ..settings(&okta, format!("https://login.microsoftonline.com/{tenant}/v2.0"))
        };
        let provider = portunus_identity::connect(settings, http());
        let error = provider.probe(REDIRECT).await.unwrap_err();
        assert!(matches!(error, IdentityError::Misconfigured { .. }), "{error:?}");
        assert!(error.to_string().contains("AUTH_AZURE_AD_TENANT_ID"), "{error}");
    }
}
