//! Sign-ins that succeed: both servers, groups from either place, all ways to authenticate; and
//! signing out.

use std::time::Duration;

use portunus_core::secret::SecretText;
use portunus_identity::{Preset, Provider, ProviderSettings, connect};
use portunus_testkit::okta::{Endpoint, FakeOkta, Fault, GroupsClaim, Options, Tamper};
use serde_json::json;

use crate::browser::{REDIRECT, SignInFixture, http, now, settings};

#[tokio::test]
async fn alice_signs_in_at_the_org_server() {
    let fixture = SignInFixture::org(Options::default()).await;
    let alice = fixture.sign_in().await.unwrap();
    assert_eq!(alice.issuer, fixture.okta.org_issuer());
    assert_eq!(alice.subject, "00u1alice");
    assert_eq!(alice.name.as_deref(), Some("Alice Example"));
    assert_eq!(alice.email.as_deref(), Some("alice@acme.example"));
    assert!(alice.email_verified);
    assert_eq!(alice.groups, ["Everyone", "engineering", "admins"]);
    assert!(alice.id_token.is_some());
    assert_eq!(fixture.okta.count(Endpoint::Userinfo), 0, "the ID token has it all");
}

#[tokio::test]
async fn alice_signs_in_at_a_custom_server_without_a_groups_scope() {
    let fixture = SignInFixture::custom(Options::default()).await;
    let url = fixture.authorization_url(&fixture.provider_request()).await.unwrap();
    assert!(
        url.query_pairs().any(|pair| pair == ("scope".into(), "openid profile email".into())),
        "{url}"
    );
    let alice = fixture.sign_in().await.unwrap();
    assert_eq!(alice.issuer, fixture.okta.custom_issuer("default"));
    assert_eq!(alice.groups, ["Everyone", "engineering", "admins"]);
}

#[tokio::test]
async fn a_custom_server_is_asked_for_groups_when_it_defines_the_scope() {
    let fixture = SignInFixture::custom(Options {
        custom_groups: GroupsClaim::WithScope,
        ..Options::default()
    })
    .await;
    let url = fixture.authorization_url(&fixture.provider_request()).await.unwrap();
    assert!(
        url.query_pairs()
            .any(|pair| pair == ("scope".into(), "openid profile email groups".into())),
        "{url}"
    );
    assert_eq!(fixture.sign_in().await.unwrap().groups, ["Everyone", "engineering", "admins"]);
}

#[tokio::test]
async fn groups_come_from_userinfo_when_the_id_token_has_none() {
    let fixture = SignInFixture::custom(Options {
        custom_groups: GroupsClaim::Userinfo,
        ..Options::default()
    })
    .await;
    assert_eq!(fixture.sign_in().await.unwrap().groups, ["Everyone", "engineering", "admins"]);
    assert_eq!(fixture.okta.count(Endpoint::Userinfo), 1);
}

#[tokio::test]
async fn a_thin_id_token_is_filled_up_from_userinfo() {
    let fixture = SignInFixture::org(Options { thin_id_token: true, ..Options::default() }).await;
    let alice = fixture.sign_in().await.unwrap();
    assert_eq!(alice.email.as_deref(), Some("alice@acme.example"));
    assert!(alice.email_verified);
    assert_eq!(alice.name.as_deref(), Some("Alice Example"));
}

#[tokio::test]
async fn nobody_has_groups_when_okta_hands_none_out() {
    let fixture = SignInFixture::org(Options { groups_filter: false, ..Options::default() }).await;
    assert!(fixture.sign_in().await.unwrap().groups.is_empty());
}

#[tokio::test]
async fn elliptic_keys_body_secrets_and_iss_work_too() {
    let options = [
        Options { elliptic: true, ..Options::default() },
        Options { secret_in_body_only: true, ..Options::default() },
        Options { sends_iss: true, ..Options::default() },
    ];
    for options in options {
        let fixture = SignInFixture::org(options).await;
        assert_eq!(fixture.sign_in().await.unwrap().subject, "00u1alice");
    }
}

#[tokio::test]
async fn unusual_but_right_id_tokens_are_taken() {
    for tamper in
        [Tamper::NoKid, Tamper::ListedAudience, Tamper::FractionalTimes, Tamper::RightParty]
    {
        let fixture = SignInFixture::org(Options::default()).await;
        fixture.okta.tamper_next(tamper);
        let result = fixture.sign_in().await;
        assert!(result.is_ok(), "{tamper:?}: {result:?}");
    }
}

#[tokio::test]
async fn a_trailing_slash_in_the_setting_is_not_a_mistake() {
    let okta = FakeOkta::start(Options::default()).await;
    let issuer = format!("{}/", okta.org_issuer());
    let fixture = SignInFixture::with(okta, |okta| settings(okta, issuer));
    assert_eq!(fixture.sign_in().await.unwrap().issuer, fixture.okta.org_issuer());
}

#[tokio::test]
async fn the_generic_preset_signs_in_at_okta_as_well() {
    let okta = FakeOkta::start(Options::default()).await;
    let issuer = okta.org_issuer();
    let fixture = SignInFixture::with(okta, |okta| ProviderSettings {
        preset: Preset::Oidc,
        ..settings(okta, issuer)
    });
    assert_eq!(fixture.provider.label(), "okta");
    assert_eq!(fixture.sign_in().await.unwrap().groups, ["Everyone", "engineering", "admins"]);
}

#[tokio::test]
async fn metadata_and_keys_are_fetched_once_for_many_sign_ins() {
    let fixture = SignInFixture::org(Options::default()).await;
    for _ in 0..5 {
        fixture.sign_in().await.unwrap();
    }
    assert_eq!(fixture.okta.count(Endpoint::Discovery), 1);
    assert_eq!(fixture.okta.count(Endpoint::Keys), 1);
}

#[tokio::test]
async fn f7_a_minute_of_clock_difference_is_tolerated_and_ten_are_not() {
    for (seconds, ahead, tolerated) in
        [(55, true, true), (55, false, true), (600, true, false), (600, false, false)]
    {
        let fixture = SignInFixture::org(Options::default()).await;
        fixture.okta.skew_clock(Duration::from_secs(seconds), ahead);
        assert_eq!(fixture.sign_in().await.is_ok(), tolerated, "{seconds} s, ahead: {ahead}");
    }
}

#[tokio::test]
async fn a_fresh_sign_in_asks_okta_to_prompt() {
    let fixture = SignInFixture::org(Options::default()).await;
    let provider_request = fixture.provider_request();
    let code_challenge = portunus_core::pkce::CodeChallenge::of(&provider_request.verifier);
    let provider_request = portunus_identity::provider::Outbound {
        redirect_uri: REDIRECT,
        state: &provider_request.state,
        nonce: &provider_request.nonce,
        code_challenge: &code_challenge,
        fresh: true,
        max_age: None,
        login_hint: Some("alice@acme.com"),
    };
    let url = fixture.provider.authorization_url(&provider_request).await.unwrap();
    assert!(url.query_pairs().any(|pair| pair == ("prompt".into(), "login".into())), "{url}");
    assert!(
        url.query_pairs().any(|pair| pair == ("login_hint".into(), "alice@acme.com".into())),
        "{url}"
    );
}

#[tokio::test]
async fn signing_out_ends_at_okta_and_comes_back() {
    let fixture = SignInFixture::org(Options::default()).await;
    let alice = fixture.sign_in().await.unwrap();
    let return_to = "http://localhost:3000/auth/signout";
    fixture.okta.register_sign_out(return_to);
    let url = fixture
        .provider
        .sign_out_url(alice.id_token.as_ref(), return_to, "the-state")
        .await
        .unwrap()
        .unwrap();
    assert!(url.query_pairs().any(|(name, _)| name == "client_id"));
    let answer = http().get(url).send().await.unwrap();
    assert_eq!(answer.status(), 302);
    assert_eq!(answer.headers()["location"], format!("{return_to}?state=the-state"));
}

#[tokio::test]
async fn fb60_a_long_id_token_does_not_go_along_to_the_sign_out() {
    let fixture = SignInFixture::org(Options::default()).await;
    let return_to = "http://localhost:3000/auth/signout";
    let alice = fixture.sign_in().await.unwrap();
    let header = alice.id_token.as_ref().unwrap().expose().split('.').next().unwrap().to_owned();
    for (length, is_sent) in [(600, true), (1300, true), (4800, false), (20_000, false)] {
        let token = SecretText::new(format!("{header}.{}.x", "x".repeat(length)));
        let url = fixture
            .provider
            .sign_out_url(Some(&token), return_to, "the-state")
            .await
            .unwrap()
            .unwrap();
        let has = |wanted: &str| url.query_pairs().any(|(name, _)| name == wanted);
        assert_eq!(has("id_token_hint"), is_sent, "{length}");
        assert!(
            has("client_id") && has("post_logout_redirect_uri") && url.as_str().len() < 3000,
            "{length}"
        );
    }
}

#[tokio::test]
async fn fb60_an_id_token_whose_key_is_gone_does_not_go_along_either() {
    let fixture = SignInFixture::org(Options::default()).await;
    let return_to = "http://localhost:3000/auth/signout";
    let alice = fixture.sign_in().await.unwrap();
    let sends_hint = async |provider: &dyn Provider| {
        let url = provider
            .sign_out_url(alice.id_token.as_ref(), return_to, "the-state")
            .await
            .unwrap()
            .unwrap();
        assert!(url.query_pairs().any(|(name, _)| name == "client_id"), "{url}");
        url.query_pairs().any(|(name, _)| name == "id_token_hint")
    };
    assert!(sends_hint(&*fixture.provider).await);
    let started_anew = || connect(settings(&fixture.okta, fixture.okta.org_issuer()), http());
    assert!(sends_hint(&*started_anew()).await, "the same after a restart");
    fixture.okta.fail(Endpoint::Keys, Fault::Status(503));
    assert!(sends_hint(&*started_anew()).await, "where it cannot be found out");
    fixture.okta.heal(Endpoint::Keys);
    fixture.okta.rotate_keys();
    assert!(sends_hint(&*started_anew()).await, "the one before is published for a while");
    fixture.okta.rotate_keys();
    assert!(!sends_hint(&*started_anew()).await);
}

#[tokio::test]
async fn a_page_to_sign_in_at() {
    let fixture = SignInFixture::org(Options { form: true, ..Options::default() }).await;
    let provider_request = fixture.provider_request();
    let url = fixture.authorization_url(&provider_request).await.unwrap();
    let page = http().get(url.clone()).send().await.unwrap().text().await.unwrap();
    let from = page
        .split("name=\"from\" value=\"")
        .nth(1)
        .unwrap()
        .split('"')
        .next()
        .unwrap()
        .replace("&amp;", "&");
    let signed_in = http()
        .post(format!("{}/signin", fixture.okta.org_issuer()))
        .form(&[("username", "bob"), ("from", &from)])
        .send()
        .await
        .unwrap();
    let cookie =
        signed_in.headers()["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();
    let back = url.join(signed_in.headers()["location"].to_str().unwrap()).unwrap();
    let answer = http().get(back).header("cookie", cookie).send().await.unwrap();
    let location = url::Url::parse(answer.headers()["location"].to_str().unwrap()).unwrap();
    let code = location
        .query_pairs()
        .find(|(name, _)| name == "code")
        .map(|(_, value)| SecretText::new(value));
    let inbound = portunus_identity::provider::Inbound { code, ..Default::default() };
    let bob = fixture
        .provider
        .complete(&inbound, &provider_request.provider_request(), now())
        .await
        .unwrap();
    assert_eq!(bob.subject, "00u1bob");
}

/// Okta's custom servers can have groups there alone. It must be ours, and about the same person.
#[tokio::test]
async fn t21_groups_come_from_an_access_token_of_ours_when_nothing_else_has_them() {
    let options = || Options { custom_groups: GroupsClaim::AccessToken, ..Options::default() };
    let all = vec!["Everyone".to_owned(), "engineering".to_owned(), "admins".to_owned()];
    let fixture = SignInFixture::custom(options()).await;
    assert_eq!(fixture.sign_in().await.unwrap().groups, all);
    for (claim, value, taken) in [
        ("cid", json!("0oa-somebody-else"), false),
        ("iss", json!("https://evil.example"), false),
        ("exp", json!(1_000_000), false),
        ("exp", json!("9999999999"), false),
        ("uid", json!("00u1bob"), false),
        ("aud", json!("https://api.example"), true),
    ] {
        let fixture = SignInFixture::custom(options()).await;
        fixture.okta.put_into_access_tokens(claim, value);
        let alice = fixture.sign_in().await.unwrap();
        assert_eq!(alice.groups == all, taken, "{claim}: {:?}", alice.groups);
    }
    let org = SignInFixture::org(Options { groups_filter: false, ..options() }).await;
    assert!(org.sign_in().await.unwrap().groups.is_empty(), "the org server's are for Okta");
}
