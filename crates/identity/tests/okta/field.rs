//! What providers really do, row by row of docs/field.md: metadata with holes, userinfo that fails,
//! groups of every shape, words of their own.

use std::time::Duration;

use portunus_core::{ids::ProviderName, secret::SecretText};
use portunus_identity::{
    Finding, Ours, Preset, ProviderSettings, State, diagnose,
    provider::{IdentityError, PROVIDER_ERROR, TOOK_TOO_LONG},
};
use portunus_testkit::{
    log::Log,
    okta::{Endpoint, FakeOkta, Fault, GroupsClaim, Options, Person, Tamper},
    wait::eventually,
};
use serde_json::{Value, json};
use url::Url;

use crate::browser::{REDIRECT, SignInFixture, http, settings};

const OURS: Ours<'static> =
    Ours { callback: REDIRECT, signed_out: "http://localhost:3000/auth/signout" };

/// A generic provider: no advice of Okta's own.
fn generic(okta: &FakeOkta) -> ProviderSettings {
    ProviderSettings {
        name: ProviderName::from_text("acme"),
        preset: Preset::Oidc,
        ..settings(okta, okta.custom_issuer("default"))
    }
}

async fn doctor(okta: &FakeOkta) -> Vec<Finding> {
    okta.register_redirect(REDIRECT);
    diagnose(generic(okta), &http(), OURS).await
}

fn about<'a>(findings: &'a [Finding], setting: &str) -> &'a Finding {
    findings
        .iter()
        .find(|finding| finding.setting == setting)
        .unwrap_or_else(|| panic!("nothing of {setting} in {findings:?}"))
}

#[tokio::test]
async fn fb20_metadata_with_holes() {
    for (member, value) in [
        ("userinfo_endpoint", json!(null)),
        ("userinfo_endpoint", json!("")),
        ("userinfo_endpoint", json!("not a url")),
        ("end_session_endpoint", json!("")),
        ("end_session_endpoint", json!("/logout")),
        ("scopes_supported", json!(null)),
        ("scopes_supported", json!("")),
        ("scopes_supported", json!([null, "openid"])),
        ("token_endpoint_auth_methods_supported", json!(null)),
        ("token_endpoint_auth_methods_supported", json!([])),
        ("id_token_signing_alg_values_supported", json!(null)),
        ("authorization_response_iss_parameter_supported", json!(null)),
        ("authorization_response_iss_parameter_supported", json!("")),
    ] {
        let fixture = SignInFixture::custom(Options::default()).await;
        fixture.okta.publish(member, value.clone());
        let signed_in = fixture.sign_in().await;
        assert_eq!(signed_in.unwrap().subject, "00u1alice", "{member}: {value}");
    }
    for member in ["issuer", "authorization_endpoint", "token_endpoint", "jwks_uri"] {
        for value in [json!(null), json!("")] {
            let fixture = SignInFixture::custom(Options::default()).await;
            fixture.okta.publish(member, value);
            let error = fixture.sign_in().await.unwrap_err().to_string();
            assert!(error.contains(&format!("no {member}")), "{error}");
        }
    }
}

#[tokio::test]
async fn fb21_userinfo_that_fails_ends_no_sign_in() {
    let faults = [
        Fault::Status(401),
        Fault::Status(403),
        Fault::Status(500),
        Fault::Garbage,
        Fault::Hang,
        Fault::Huge,
        Fault::RateLimited,
    ];
    for fault in faults {
        let log = Log::capture();
        let before = log.text().len();
        // Everything but groups is in the ID token.
        let fixture = SignInFixture::custom(Options {
            custom_groups: GroupsClaim::Userinfo,
            ..Options::default()
        })
        .await;
        fixture.okta.fail(Endpoint::Userinfo, fault);
        for _ in 0..2 {
            let alice =
                fixture.sign_in().await.unwrap_or_else(|error| panic!("{fault:?}: {error}"));
            assert_eq!(alice.email.as_deref(), Some("alice@acme.example"));
            assert!(
                alice.groups.is_empty() && alice.unread.groups && !alice.unread.email,
                "{fault:?}: groups were not told"
            );
        }
        assert_eq!(
            log.text()[before..].matches("userinfo, which has more, cannot be read").count(),
            1,
            "{fault:?}: said once"
        );
    }
}

#[tokio::test]
async fn fb21_signed_userinfo_is_verified() {
    let signing = || async {
        let fixture = SignInFixture::custom(Options {
            custom_groups: GroupsClaim::Userinfo,
            ..Options::default()
        })
        .await;
        fixture.okta.sign_userinfo();
        fixture
    };
    let alice = signing().await.sign_in().await.unwrap();
    assert_eq!(alice.groups, ["Everyone", "engineering", "admins"]);
    // Userinfo about another person is no failure to be passed over.
    let fixture = signing().await;
    fixture.okta.lie_in_userinfo("00u1bob");
    assert!(matches!(fixture.sign_in().await.unwrap_err(), IdentityError::Unverified { .. }));
    // Userinfo that is not signed says nothing.
    let fixture = SignInFixture::custom(Options {
        custom_groups: GroupsClaim::Userinfo,
        ..Options::default()
    })
    .await;
    fixture.okta.fail(
        Endpoint::Userinfo,
        Fault::Says(
            200,
            "application/jwt",
            "e30.eyJzdWIiOiIwMHUxYWxpY2UiLCJncm91cHMiOlsiYWRtaW5zIl19.eA",
        ),
    );
    let alice = fixture.sign_in().await.unwrap();
    assert!(alice.groups.is_empty() && alice.unread.groups);
}

/// Alice, with these claims in her ID token, at a gateway that reads groups from this claim.
async fn groups(claims: Value, claim: &str) -> (Vec<String>, String) {
    let log = Log::capture();
    let before = log.text().len();
    let okta =
        FakeOkta::start(Options { custom_groups: GroupsClaim::Never, ..Options::default() }).await;
    let more_claims = claims.as_object().unwrap().clone().into_iter().collect();
    okta.put_person(Person { more_claims, ..Person::new("alice", &[]) });
    let fixture = SignInFixture::with(okta, |okta| ProviderSettings {
        groups_claim: Some(claim.to_owned()),
        ..generic(okta)
    });
    let groups = fixture.sign_in().await.unwrap().groups;
    (groups, log.text()[before..].to_owned())
}

#[tokio::test]
async fn fb22_a_configured_claim_that_says_nothing_is_told_with_those_that_came() {
    for (claims, claim, expected) in [
        (json!({"roles": "admins"}), "roles", &["admins"][..]),
        (json!({"roles": ["a", "b"]}), "roles", &["a", "b"]),
        (
            json!({"urn:acme:roles": {"admin": {"1": "acme.com"}, "user": {}}}),
            "urn:acme:roles",
            &["admin", "user"],
        ),
        (
            json!({"https://acme.com/claims/groups": ["a"]}),
            "https://acme.com/claims/groups",
            &["a"],
        ),
        (
            json!({"resource_access": {"mcp.acme.com": {"roles": ["r"]}}}),
            "resource_access.mcp.acme.com.roles",
            &["r"],
        ),
    ] {
        let (found, log) = groups(claims.clone(), claim).await;
        assert_eq!(found, expected, "{claims}");
        assert!(!log.contains("the configured groups claim"), "{log}");
    }
    for (claims, claim, state) in [
        (json!({"rolls": ["a"]}), "roles", "did not come"),
        (json!({"roles": []}), "roles", "is empty"),
        (json!({"roles": 7}), "roles", "is empty"),
        (json!({"roles": {"a": false}}), "roles", "is empty"),
        (json!({"realm_access": {"roles": []}}), "realm_access.rolls", "did not come"),
    ] {
        let (found, log) = groups(claims.clone(), claim).await;
        assert!(found.is_empty());
        let line = log
            .lines()
            .find(|line| line.contains("the configured groups claim"))
            .unwrap_or_else(|| panic!("{claims}: {log}"));
        let came = claims.as_object().unwrap().keys().next().unwrap();
        assert!(line.contains(state) && line.contains(came) && line.contains("email"), "{line}");
    }
}

#[tokio::test]
async fn fb61_the_doctor_tries_the_sign_out_too() {
    let okta = FakeOkta::start(Options::default()).await;
    okta.fail(
        Endpoint::Logout,
        Fault::Says(400, "text/html", "<title>Error</title><p>Invalid redirect uri</p>"),
    );
    let findings = doctor(&okta).await;
    let finding = about(&findings, "sign-out redirect URI");
    assert_eq!(finding.state, State::Wrong);
    assert!(
        finding.found.contains("Invalid redirect uri")
            && finding.advice.as_ref().unwrap().contains(OURS.signed_out),
        "{finding:?}"
    );
    okta.fail(Endpoint::Logout, Fault::Leads("http://localhost:3000/auth/signout"));
    assert_eq!(about(&doctor(&okta).await, "sign-out redirect URI").state, State::Fine);
    for fault in [
        Fault::Says(200, "text/html", "Do you want to sign out?"),
        Fault::Says(400, "text/html", "id_token_hint is required"),
    ] {
        okta.fail(Endpoint::Logout, fault);
        assert_eq!(
            about(&doctor(&okta).await, "sign-out redirect URI").state,
            State::Unknown,
            "{fault:?}"
        );
    }
}

#[tokio::test]
async fn fb62_what_the_token_endpoint_means() {
    for (status, body, advice) in [
        (
            401,
            r#"{"error":"unauthorized_client","error_description":"Invalid client or Invalid client credentials"}"#,
            "the secret is wrong or missing",
        ),
        (
            401,
            r#"{"error":"unauthorized_client","error_description":"Client secret not provided in request"}"#,
            "the secret is wrong or missing",
        ),
        (
            401,
            r#"{"error":"invalid_client","error_description":"The client cannot authenticate with methods: ['client_secret_basic', 'client_secret_post', 'client_assertion_jwt', 'none']"}"#,
            "the secret may be wrong",
        ),
        (
            400,
            r#"{"error":"invalid_client","error_description":"Parameter client_assertion_type is missing"}"#,
            "Another way of client authentication",
        ),
        (
            400,
            r#"{"error":"unauthorized_client","error_description":"Client assertion missing"}"#,
            "Another way of client authentication",
        ),
        (
            400,
            r#"{"error":"unauthorized_client","error_description":"Client not allowed for standard flow"}"#,
            "grant type Authorization Code",
        ),
    ] {
        let okta = FakeOkta::start(Options::default()).await;
        okta.fail(Endpoint::Token, Fault::Says(status, "application/json", body));
        let findings = doctor(&okta).await;
        let finding = about(&findings, "AUTH_ACME_SECRET");
        assert_eq!(finding.state, State::Wrong);
        assert!(finding.advice.as_ref().unwrap().contains(advice), "{body}: {finding:?}");
    }
    let okta = FakeOkta::start(Options::default()).await;
    assert!(!doctor(&okta).await.iter().any(Finding::is_wrong));
    okta.take_any_secret();
    let findings = doctor(&okta).await;
    let wrong: Vec<_> = findings.iter().filter(|finding| finding.is_wrong()).collect();
    assert!(wrong.len() == 1 && wrong[0].found.contains("takes any secret"), "{findings:?}");
}

#[tokio::test]
async fn fb63_an_iss_that_was_promised_and_does_not_come_is_found_by_the_doctor() {
    let okta = FakeOkta::start(Options::default()).await;
    okta.publish("authorization_response_iss_parameter_supported", json!(true));
    let findings = doctor(&okta).await;
    let finding = about(&findings, "redirect URI");
    // There are providers whose answers to people have it all the same.
    assert_eq!(finding.state, State::Unknown, "{findings:?}");
    assert!(finding.found.contains("promises that it does"), "{finding:?}");
    let fixture = SignInFixture::with(okta, generic);
    let error = fixture.sign_in().await.unwrap_err();
    assert!(error.to_string().contains("promises that it does"), "{error}");
}

#[tokio::test]
async fn fb63_keys_are_fetched_before_they_are_needed_and_kept() {
    let fixture = SignInFixture::custom(Options::default()).await;
    fixture.okta.fail(Endpoint::Keys, Fault::Slow(Duration::from_millis(300)));
    fixture.authorization_url(&fixture.provider_request()).await.unwrap();
    // The browser did not come back from that sign-in.
    eventually("the keys are asked for", async || fixture.okta.count(Endpoint::Keys) == 1).await;
    tokio::time::sleep(Duration::from_millis(400)).await;
    fixture.okta.fail(Endpoint::Keys, Fault::Status(500));
    fixture.sign_in().await.unwrap();
    assert_eq!(fixture.okta.count(Endpoint::Keys), 1);
    // And beside the code, if they are not there by then: both take long, together too long.
    let fixture = SignInFixture::custom(Options::default()).await;
    for endpoint in [Endpoint::Keys, Endpoint::Token] {
        fixture.okta.fail(endpoint, Fault::Slow(Duration::from_millis(2600)));
    }
    fixture.sign_in().await.unwrap();
}

#[tokio::test]
async fn fb66_an_error_of_the_providers_own_is_no_outage() {
    let fixture = SignInFixture::custom(Options::default()).await;
    for (error, description, expected, told) in [
        ("temporarily_unavailable", "authentication_expired", TOOK_TOO_LONG, "took too long"),
        ("temporarily_unavailable", "busy", PROVIDER_ERROR, "had an error"),
        ("server_error", "", PROVIDER_ERROR, "had an error"),
    ] {
        fixture.okta.refuse_next(error, description);
        let failed = fixture.sign_in().await.unwrap_err();
        assert!(
            matches!(&failed, IdentityError::Refused { error, .. } if error == expected),
            "{failed:?}"
        );
        assert!(
            failed.public_message().contains(told)
                && failed.public_message().contains("start again"),
            "{failed}"
        );
        assert!(!failed.to_string().contains("cannot be reached"), "{failed}");
    }
}

#[tokio::test]
async fn fb67_an_id_token_that_an_administrator_must_change() {
    for (tamper, found) in [
        (
            Tamper::Hs256WithClientSecret,
            "signed with HS256; accepted is what the provider's metadata offers of ours: RS256",
        ),
        (Tamper::Rs512, "signed with RS512"),
        (Tamper::Encrypted, "encrypted"),
    ] {
        let fixture = SignInFixture::custom(Options::default()).await;
        fixture.okta.tamper_next(tamper);
        let error = fixture.sign_in().await.unwrap_err();
        assert!(matches!(error, IdentityError::Misconfigured { .. }), "{tamper:?}: {error:?}");
        assert!(error.to_string().contains(found), "{error}");
        assert!(error.public_message().contains("administrator"), "{}", error.public_message());
    }
    let okta = FakeOkta::start(Options::default()).await;
    let more_claims = vec![("permissions".to_owned(), json!("p".repeat(70_000)))];
    okta.put_person(Person { more_claims, ..Person::new("alice", &[]) });
    let error = SignInFixture::with(okta, generic).sign_in().await.unwrap_err();
    let text = error.to_string();
    assert!(
        matches!(error, IdentityError::Misconfigured { .. })
            && text.contains("permissions")
            && text.contains("65536"),
        "{text}"
    );
}

#[tokio::test]
async fn fb69_the_reason_of_a_page_is_quoted_and_what_cannot_be_told_is_not_fine() {
    let okta = FakeOkta::start(Options::default()).await;
    okta.fail(
        Endpoint::Authorize,
        Fault::Says(
            400,
            "text/html",
            "<html><title>Sign in to acme</title><p>Client disabled.</p></html>",
        ),
    );
    let findings = doctor(&okta).await;
    let finding = about(&findings, "redirect URI");
    assert!(finding.is_wrong() && finding.found.contains("Client disabled."), "{finding:?}");
    // FB87: a page to choose how to sign in, before anything is checked.
    okta.fail(
        Endpoint::Authorize,
        Fault::Says(200, "text/html", "<title>Choose a connector</title>"),
    );
    let findings = doctor(&okta).await;
    let finding = about(&findings, "redirect URI");
    assert!(
        finding.state == State::Unknown && finding.found.contains("Choose a connector"),
        "{finding:?}"
    );
}

#[tokio::test]
async fn fb87_a_single_way_to_sign_in_is_followed() {
    let okta = FakeOkta::start(Options::default()).await;
    okta.fail_next(Endpoint::Authorize, Fault::Leads("authorize?connector=only"));
    // The next answer is for what the redirect says, which has no client: a refusal, as a
    // provider's behind its single connector.
    let findings = doctor(&okta).await;
    assert!(about(&findings, "redirect URI").is_wrong(), "{findings:?}");
}

#[tokio::test]
async fn fb70_a_person_who_says_no_is_told_that_they_may_begin_again() {
    let fixture = SignInFixture::custom(Options::default()).await;
    fixture.okta.refuse_next("access_denied", "User denied consent");
    let told = fixture.sign_in().await.unwrap_err().public_message();
    assert!(
        told.contains("You declined, or your identity provider did not let you in")
            && told.contains("Start again"),
        "{told}"
    );
}

#[tokio::test]
async fn fb73_a_discovery_that_leads_elsewhere_is_told_with_its_target() {
    let fixture = SignInFixture::custom(Options::default()).await;
    fixture.okta.fail(
        Endpoint::Discovery,
        Fault::Leads("https://login.acme.com/realms/acme/.well-known/openid-configuration"),
    );
    let error = fixture.sign_in().await.unwrap_err().to_string();
    assert!(
        error.contains("https://login.acme.com/realms/acme") && error.contains("AUTH_OKTA_ISSUER"),
        "{error}"
    );
}

#[tokio::test]
async fn fb68_an_https_address_that_speaks_no_tls_is_told_in_those_words() {
    let okta = FakeOkta::start(Options::default()).await;
    let issuer = okta.org_issuer().replace("http://", "https://");
    let fixture = SignInFixture::with(okta, |okta| ProviderSettings {
        client_secret: Some(SecretText::new("x")),
        ..settings(okta, issuer)
    });
    let error = fixture.sign_in().await.unwrap_err().to_string();
    assert!(error.contains("speaks no TLS"), "{error}");
}

const PUBLIC: &str = "https://login.acme.example";

/// A provider that browsers reach at [`PUBLIC`], and this machine where it listens.
async fn behind_a_proxy(internal: impl FnOnce(&FakeOkta) -> Option<&str>) -> SignInFixture {
    let okta =
        FakeOkta::start(Options { public_base: Some(PUBLIC.to_owned()), ..Options::default() })
            .await;
    SignInFixture::with(okta, |okta| {
        let internal_url = internal(okta).map(|url| Url::parse(url).unwrap());
        ProviderSettings { internal_url, ..generic(okta) }
    })
}

#[tokio::test]
async fn fb71_the_gateway_reaches_the_provider_at_its_internal_address_and_browsers_at_the_public_one()
 {
    let fixture = behind_a_proxy(|okta| Some(okta.internal())).await;
    let provider_request = fixture.provider_request();
    let url = fixture.authorization_url(&provider_request).await.unwrap();
    assert!(
        url.as_str().starts_with("https://login.acme.example/oauth2/default/v1/authorize?"),
        "{url}"
    );
    assert_eq!(fixture.sign_in().await.unwrap().subject, "00u1alice");
    for endpoint in [Endpoint::Discovery, Endpoint::Keys, Endpoint::Token] {
        assert!(fixture.okta.count(endpoint) > 0, "{endpoint:?} was asked");
    }

    let settings = ProviderSettings {
        internal_url: Url::parse(fixture.okta.internal()).ok(),
        ..generic(&fixture.okta)
    };
    fixture.okta.register_sign_out(OURS.signed_out);
    let findings = diagnose(settings, &http(), OURS).await;
    // Okta tells of a sign-out only to a user who is signed in.
    let (sign_out, others) = findings.split_last().unwrap();
    assert!(
        others.len() == 4 && others.iter().all(|finding| finding.state == State::Fine),
        "{findings:?}"
    );
    assert!(sign_out.found.contains("wants the ID token"), "it was reached: {sign_out:?}");

    // Some name what they are asked at themselves, and what is said to browsers is then the
    // gateway's to mend.
    let fixture = behind_a_proxy(|okta| Some(okta.internal())).await;
    let internal = fixture.okta.internal().to_owned();
    for (member, path) in
        [("token_endpoint", "token"), ("jwks_uri", "keys"), ("authorization_endpoint", "authorize")]
    {
        fixture.okta.publish(member, json!(format!("{internal}/oauth2/default/v1/{path}")));
    }
    let url = fixture.authorization_url(&fixture.provider_request()).await.unwrap();
    assert!(
        url.as_str().starts_with("https://login.acme.example/oauth2/default/v1/authorize?"),
        "{url}"
    );
    assert_eq!(fixture.sign_in().await.unwrap().subject, "00u1alice");
}

#[tokio::test]
async fn fb71_plain_http_is_for_the_internal_address_alone() {
    let fixture = behind_a_proxy(|okta| Some(okta.internal())).await;
    fixture.okta.publish("token_endpoint", json!("http://127.0.0.1:1/token"));
    let error = fixture.sign_in().await.unwrap_err().to_string();
    assert!(error.contains("token_endpoint that is not an https URL"), "{error}");

    let fixture = behind_a_proxy(|okta| Some(okta.internal())).await;
    let internal = fixture.okta.internal().to_owned();
    fixture.okta.publish("issuer", json!(format!("{internal}/oauth2/default")));
    let error = fixture.sign_in().await.unwrap_err();
    let IdentityError::Misconfigured { detail, hint, .. } = &error else { panic!("{error}") };
    assert!(
        detail.contains("asked at its internal address") && hint.contains("KC_HOSTNAME"),
        "{error} {hint}"
    );
}
