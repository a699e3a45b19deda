//! Signing in and out, at both of Okta's authorization servers (parity A1, A7, B2).

use portunus_testkit::okta::{Endpoint, GroupsClaim, Options};

use crate::fixture::{GatewayFixture, Setup};

/// Alice's groups in the fake Okta.
const GROUPS: [&str; 3] = ["Everyone", "engineering", "admins"];

async fn signs_in_with_groups(setup: Setup) {
    let fixture = GatewayFixture::of(setup).await;
    let (_, _, tokens) = fixture.connect("/mcp").await;
    assert_eq!(tokens.scope, "mcp");
    let alice = fixture.stores().logins.find_user(&fixture.user("alice")).await.unwrap().unwrap();
    assert_eq!(alice.groups, GROUPS);
    assert_eq!(alice.name.as_deref(), Some("Alice Example"));
    assert_eq!(alice.email.as_deref(), Some("alice@acme.example"));
    fixture.close().await;
}

#[tokio::test]
async fn through_a_custom_server_whose_id_token_has_groups() {
    signs_in_with_groups(Setup::default()).await;
}

#[tokio::test]
async fn through_a_custom_server_whose_userinfo_has_groups() {
    let okta =
        Options { custom_groups: GroupsClaim::Userinfo, thin_id_token: true, ..Options::default() };
    signs_in_with_groups(Setup { okta, ..Setup::default() }).await;
}

#[tokio::test]
async fn through_the_org_server() {
    signs_in_with_groups(Setup { org: true, ..Setup::default() }).await;
}

#[tokio::test]
async fn through_the_callback_of_the_go_system() {
    signs_in_with_groups(Setup { callback: "/auth/callback", ..Setup::default() }).await;
}

#[tokio::test]
async fn behind_a_proxy_that_ends_tls() {
    signs_in_with_groups(Setup { https: true, ..Setup::default() }).await;
}

#[tokio::test]
async fn at_oktas_own_sign_in_page_two_people_in_two_browsers() {
    let fixture = GatewayFixture::of(Setup {
        okta: Options { form: true, ..Options::default() },
        ..Setup::default()
    })
    .await;
    for (username, name) in [("alice", "Alice Example"), ("bob", "Bob Example")] {
        let browser = fixture.browser();
        let okta = browser.open(&fixture.at("/auth/signin")).await.page();
        let home = okta.form("/signin").submit([("username", username)]).await.page().expect(200);
        assert_eq!(home.url.as_str(), fixture.at("/"));
        assert!(home.text().contains(name), "{home:?}");
    }
    fixture.close().await;
}

#[tokio::test]
async fn signing_out_ends_the_login_here_and_at_okta() {
    let fixture = GatewayFixture::start().await;
    let browser = fixture.browser();
    fixture.sign_in(&browser).await;
    let cookie = browser.cookie("_login").unwrap();
    let home = browser.open(&fixture.at("/")).await.page();
    let page = home.form("/auth/signout").submit([]).await.page().expect(200);
    assert_eq!(page.url.path(), "/auth/signout");
    assert_eq!(fixture.okta.count(Endpoint::Logout), 1, "signed out at the provider too");
    assert!(browser.cookie("_login").is_none(), "the cookie is taken back");
    browser.plant(cookie);
    let home = browser.open(&fixture.at("/")).await.page();
    assert!(
        !home.text().contains("Alice"),
        "the login is gone, whoever still has its cookie: {home:?}"
    );
    fixture.close().await;
}

#[tokio::test]
async fn with_two_providers_the_person_chooses() {
    let fixture = GatewayFixture::of(Setup { partner: true, ..Setup::default() }).await;
    let (client, browser) = (fixture.client("/mcp").await, fixture.browser());
    let authorization = client.authorization();
    let consent = client.begin(&browser, &authorization).await.page();
    let choice =
        consent.form("/auth/consent").submit([("decision", "allow")]).await.page().expect(200);
    let labels: Vec<_> = choice.links().into_iter().map(|(text, _)| text).collect();
    assert!(labels.iter().any(|label| label.contains("Acme okta")), "{labels:?}");
    let returned = choice.click("Acme partner").await.returned();
    authorization.check(&returned, &client.discovery);
    client.tokens(client.redeem(&authorization, &returned.code()).await);
    let alice = portunus_core::ids::UserId::of(&fixture.okta.org_issuer(), "00u1alice");
    let alice = fixture
        .stores()
        .logins
        .find_user(&alice)
        .await
        .unwrap()
        .expect("keyed by the issuer that was chosen");
    assert_eq!(alice.provider.as_str(), "partner");
    fixture.close().await;
}
