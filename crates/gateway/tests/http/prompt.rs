//! `prompt`, `max_age`, `login_hint` (OpenID Connect Core 1.0 section 3.1.2.1): what a client may
//! ask of the person's sign-in.

use std::time::Duration;

use portunus_testkit::{
    agent::{Landing, OAuthClient, Request},
    okta::Endpoint,
};
use serde_json::json;

use crate::fixture::GatewayFixture;

#[tokio::test]
async fn t11_none_shows_no_page_and_tells_only_clients_that_people_know() {
    let fixture = GatewayFixture::start().await;
    let (browser, web, local) =
        (fixture.browser(), fixture.web_client("/mcp").await, fixture.client("/mcp").await);
    let silent = |client: &OAuthClient| client.authorization().with("prompt", "none");
    let nobody = fixture.browser();

    // A program on the person's own computer is told.
    let authorization = silent(&local);
    let told = local.begin(&nobody, &authorization).await.returned();
    authorization.check(&told, &local.discovery);
    assert_eq!((told.find("error").as_deref(), told.find("code")), (Some("login_required"), None));
    fixture.sign_in(&browser).await;
    let told = local.begin(&browser, &silent(&local)).await.returned();
    assert_eq!(told.find("error").as_deref(), Some("consent_required"));

    // An address that any client could have registered is not where we send people by ourselves.
    for browser in [&nobody, &browser] {
        let page = web.begin(browser, &silent(&web)).await.page().expect(400);
        assert!(!page.has_form("/auth/consent"), "and no consent is asked: {page:?}");
        let told = page.click("Tell the application").await.returned();
        assert!(told.find("error").is_some_and(|error| error.ends_with("_required")));
    }
    assert_eq!(fixture.okta.count(Endpoint::Authorize), 1, "nobody was sent to Okta for it");

    // Once allowed, it gets its code in silence, and is told when it wants more.
    web.connect(&browser).await;
    let authorization = silent(&web);
    let code = web.begin(&browser, &authorization).await.returned().code();
    web.tokens(web.redeem(&authorization, &code).await);
    let more = silent(&web).with("scope", "mcp offline_access");
    let told = web.begin(&browser, &more).await.returned();
    assert_eq!(told.find("error").as_deref(), Some("consent_required"));
    fixture.close().await;
}

#[tokio::test]
async fn login_has_the_person_sign_in_again() {
    let fixture = GatewayFixture::start().await;
    let (client, browser, _) = fixture.connect("/mcp").await;
    let before = browser.cookie("_login").unwrap().value;
    let authorization =
        client.authorization().with("prompt", "login").with("login_hint", "bob@acme.example");
    let watched = fixture.browser();
    fixture.sign_in(&watched).await;
    watched.stop_at(&fixture.okta_authorize());
    let page = client.begin(&watched, &authorization).await.page();
    assert!(
        page.text().contains("sign in at"),
        "consent comes before the request at the provider, and to whoever will sign in: {page:?}"
    );
    let to_okta = page.form("/auth/consent").submit([("decision", "allow")]).await.returned();
    assert_eq!(to_okta.find("prompt").as_deref(), Some("login"));
    assert_eq!(to_okta.find("login_hint").as_deref(), Some("bob@acme.example"));

    let page = client.begin(&browser, &authorization).await.page();
    let code = page.form("/auth/consent").submit([("decision", "allow")]).await.returned().code();
    client.tokens(client.redeem(&authorization, &code).await);
    assert_ne!(browser.cookie("_login").unwrap().value, before, "a new login");
    assert_eq!(
        (fixture.grants("alice").await, fixture.grants("bob").await),
        (1, 1),
        "of whoever signed in this time"
    );
    fixture.close().await;
}

#[tokio::test]
async fn an_old_login_is_not_enough_for_max_age() {
    let fixture = GatewayFixture::start().await;
    let (client, browser) = (fixture.web_client("/mcp").await, fixture.browser());
    client.connect(&browser).await;
    let authorization = client.authorization().with("max_age", "300");
    fixture.clock.advance(Duration::from_secs(300));
    assert!(
        matches!(client.begin(&browser, &authorization).await, Landing::Client(_)),
        "young enough"
    );
    fixture.clock.advance(Duration::from_secs(1));
    let trips = fixture.okta.count(Endpoint::Authorize);
    let page = client.begin(&browser, &authorization).await.page();
    let code = page.form("/auth/consent").submit([("decision", "allow")]).await.returned().code();
    client.tokens(client.redeem(&authorization, &code).await);
    assert_eq!(fixture.okta.count(Endpoint::Authorize), trips + 1);
    fixture.close().await;
}

#[tokio::test]
async fn consent_asks_again_and_bad_wishes_are_named() {
    let fixture = GatewayFixture::start().await;
    let (client, browser, _) = fixture.connect("/mcp").await;
    let page =
        client.begin(&browser, &client.authorization().with("prompt", "consent")).await.page();
    assert!(page.has_form("/auth/consent"), "{page:?}");
    for (name, value) in [("prompt", "none login"), ("prompt", "sometimes"), ("max_age", "soon")] {
        let page = client
            .begin(&browser, &client.authorization().with(name, value))
            .await
            .page()
            .expect(400);
        assert!(page.text().contains(name), "{page:?}");
        let told = page.click("Tell the application").await.returned();
        assert_eq!(told.find("error").as_deref(), Some("invalid_request"));
    }
    let metadata = fixture
        .browser()
        .send(Request::get(&fixture.at("/.well-known/oauth-authorization-server")))
        .await
        .expect(200);
    assert_eq!(
        metadata.json()["prompt_values_supported"],
        json!(["none", "login", "consent", "select_account"])
    );
    fixture.close().await;
}
