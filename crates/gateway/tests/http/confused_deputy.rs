//! An attacker's client, another person's sign-in: consent first, and every step bound to the
//! browser that takes it.

use std::time::Duration;

use portunus_testkit::{
    agent::{Agent, Cookie, Landing, OAuthClient, Request},
    okta::{Endpoint, Tamper},
};
use serde_json::json;

use crate::fixture::GatewayFixture;

#[tokio::test]
async fn t01_a_strangers_client_cannot_ride_the_sign_in_of_a_victim() {
    let fixture = GatewayFixture::start().await;
    let browser = fixture.browser();
    // The victim is signed in at Okta, and here, and has allowed a client already.
    let honest = fixture.client("/mcp").await;
    honest.connect(&browser).await;
    let asked = fixture.okta.count(Endpoint::Authorize);

    let metadata = json!({"client_name": "Free Prizes", "redirect_uris": ["https://attacker.example/collect?x=1"]});
    let attacker =
        OAuthClient::register_as(&fixture.browser(), &fixture.at("/mcp"), metadata).await;
    let page = attacker.begin(&browser, &attacker.authorization()).await.page().expect(200);
    let text = page.text();
    for shown in [
        "Free Prizes",
        "https://attacker.example/collect?x=1",
        "attacker.example",
        "dice",
        "uuid",
        "Use every tool",
    ] {
        assert!(text.contains(shown), "{shown}: {text}");
    }
    assert!(
        page.form("/auth/consent").buttons().contains(&("decision".to_owned(), "deny".to_owned())),
        "one can say no"
    );

    // No user is signed in here: the question still comes before the request at Okta.
    let fresh = fixture.browser();
    attacker.begin(&fresh, &attacker.authorization()).await.page().expect(200);
    assert_eq!(fixture.okta.count(Endpoint::Authorize), asked, "nobody was sent to Okta");
    assert_eq!(fixture.grants("alice").await, 1, "only the honest client has a grant");
    fixture.close().await;
}

#[tokio::test]
async fn t01_the_way_to_okta_cannot_be_taken_without_consent() {
    let fixture = GatewayFixture::start().await;
    let (client, browser) = (fixture.client("/mcp").await, fixture.browser());
    let page = client.begin(&browser, &client.authorization()).await.page();
    let transaction = page.form("/auth/consent").value("transaction").to_owned();
    for path in [
        "/auth/signin?transaction=",
        "/auth/signin?provider=okta&transaction=",
        "/auth/authorize?transaction=",
    ] {
        let landed =
            browser.open(&fixture.at(&format!("{path}{transaction}"))).await.page().expect(200);
        assert!(landed.has_form("/auth/consent"), "{path} leads back to the question: {landed:?}");
    }
    assert_eq!(fixture.okta.count(Endpoint::Authorize), 0);
    fixture.close().await;
}

#[tokio::test]
async fn t02_an_authorization_url_of_okta_is_of_no_use_in_another_browser() {
    let fixture = GatewayFixture::start().await;
    let (client, attacker, victim) =
        (fixture.client("/mcp").await, fixture.browser(), fixture.browser());
    attacker.stop_at(&fixture.okta_authorize());
    let authorization = client.authorization();
    let page = client.begin(&attacker, &authorization).await.page();
    assert!(
        attacker.cookies().iter().all(|cookie| !cookie.name.contains("state")),
        "no state cookie before consent"
    );
    let captured = page.form("/auth/consent").submit([("decision", "allow")]).await.returned().url;
    assert!(
        attacker.cookies().iter().any(|cookie| cookie.name.contains("state")),
        "it comes with the request"
    );

    // The victim, signed in at Okta, follows the link.
    let landed = victim.open(captured.as_str()).await.page();
    assert_eq!(landed.status, 400, "{landed:?}");
    assert!(victim.cookie("_login").is_none(), "the victim's browser was not signed in");
    assert!(
        fixture.stores().logins.find_user(&fixture.user("alice")).await.unwrap().is_none(),
        "nobody was"
    );

    // With every other cookie of the gateway's the victim is no better off, and even the attacker's
    // transaction leads nowhere.
    let transaction = page.form("/auth/consent").value("transaction").to_owned();
    let resumed = victim
        .open(&fixture.at(&format!("/auth/authorize?transaction={transaction}")))
        .await
        .page();
    assert_eq!(resumed.status, 400, "{resumed:?}");
    assert_eq!(fixture.grants("alice").await, 0);
    fixture.close().await;
}

/// Walks to Okta and back, and stops before the callback.
async fn callback(fixture: &GatewayFixture, client: &OAuthClient, browser: &Agent) -> String {
    browser.stop_at(&fixture.at("/auth/callback/okta"));
    let page = client.begin(browser, &client.authorization()).await.page();
    page.form("/auth/consent").submit([("decision", "allow")]).await.returned().url.to_string()
}

#[tokio::test]
async fn t02_state_is_good_once_and_for_ten_minutes() {
    let fixture = GatewayFixture::start().await;
    let client = fixture.client("/mcp").await;
    let browser = fixture.browser();
    let url = callback(&fixture, &client, &browser).await;
    let tampered = url.replace("state=ptn_st_", "state=ptn_st_x");
    browser.send(Request::get(&tampered)).await.expect(400);
    browser.send(Request::get(&fixture.at("/auth/callback/okta?code=x"))).await.expect(400);
    browser.send(Request::get(&url.replace("/okta?", "/partner?"))).await.expect(400);
    fixture.close().await;

    let fixture = GatewayFixture::start().await;
    let client = fixture.client("/mcp").await;
    let browser = fixture.browser();
    let url = callback(&fixture, &client, &browser).await;
    let kept = browser.cookies();
    browser.send(Request::get(&url)).await.expect(303);
    kept.into_iter()
        .filter(|cookie| cookie.name.contains("state"))
        .for_each(|cookie| browser.plant(cookie));
    let again = browser.send(Request::get(&url)).await.expect(303);
    assert!(
        again.location().as_str().contains("/auth/authorize?transaction="),
        "nothing of the answer is used again (FB02)"
    );
    assert_eq!(fixture.okta.count(Endpoint::Token), 1);

    let late = fixture.browser();
    let url = callback(&fixture, &client, &late).await;
    fixture.clock.advance(Duration::from_secs(600));
    late.send(Request::get(&url)).await.expect(400);
    assert!(late.cookie("_login").is_none());
    fixture.close().await;
}

#[tokio::test]
async fn t03_a_login_that_was_planted_is_worth_nothing_after_the_sign_in() {
    let fixture = GatewayFixture::start().await;
    let browser = fixture.browser();
    let mut planted = sample_login(&fixture).await;
    planted.value = planted.value.replace("ptn_ln_", "ptn_ln_planted");
    browser.plant(planted.clone());
    fixture.sign_in(&browser).await;
    let login = browser.cookie("_login").unwrap();
    assert_ne!(login.value, planted.value);
    let attacker = fixture.browser();
    attacker.plant(planted);
    assert!(!attacker.open(&fixture.at("/")).await.page().text().contains("Alice"));
    fixture.close().await;
}

/// The cookie of a login.
async fn sample_login(fixture: &GatewayFixture) -> Cookie {
    let browser = fixture.browser();
    fixture.sign_in(&browser).await;
    browser.cookie("_login").unwrap()
}

#[tokio::test]
async fn t03_signing_in_again_ends_the_earlier_login() {
    let fixture = GatewayFixture::start().await;
    let (client, browser) = (fixture.client("/mcp").await, fixture.browser());
    let url = callback(&fixture, &client, &browser).await;
    let other_tab = fixture.browser();
    fixture.sign_in(&other_tab).await;
    let earlier = other_tab.cookie("_login").unwrap();
    browser.plant(earlier.clone());
    browser.send(Request::get(&url)).await.expect(303);
    assert_ne!(browser.cookie("_login").unwrap().value, earlier.value);
    assert!(
        !other_tab.open(&fixture.at("/")).await.page().text().contains("Alice"),
        "the earlier login has ended"
    );
    fixture.close().await;
}

#[tokio::test]
async fn t03_a_transaction_is_good_for_one_code() {
    let fixture = GatewayFixture::start().await;
    let (client, browser) = (fixture.client("/mcp").await, fixture.browser());
    let authorization = client.authorization();
    let page = client.begin(&browser, &authorization).await.page();
    let transaction = page.form("/auth/consent").value("transaction").to_owned();
    page.form("/auth/consent").submit([("decision", "allow")]).await.returned().code();
    let again = browser
        .open(&fixture.at(&format!("/auth/authorize?transaction={transaction}")))
        .await
        .page();
    assert_eq!(again.status, 400);
    let again = page.form("/auth/consent").submit([("decision", "allow")]).await.page();
    assert_eq!(again.status, 400);
    fixture.close().await;
}

#[tokio::test]
async fn t03_nonce_and_pkce_bind_oktas_code_to_the_browser_that_fetched_it() {
    let fixture = GatewayFixture::start().await;
    let client = fixture.client("/mcp").await;
    for tamper in [Tamper::WrongNonce, Tamper::NoNonce] {
        fixture.okta.tamper_next(tamper);
        let browser = fixture.browser();
        let url = callback(&fixture, &client, &browser).await;
        browser.send(Request::get(&url)).await.expect(400);
        assert!(browser.cookie("_login").is_none(), "{tamper:?}");
    }
    // The attacker's code in the victim's browser, under the victim's state.
    let (attacker, victim) = (fixture.browser(), fixture.browser());
    let code = |url: &str| {
        url::Url::parse(url)
            .unwrap()
            .query_pairs()
            .find(|(name, _)| name == "code")
            .unwrap()
            .1
            .into_owned()
    };
    let stolen = code(&callback(&fixture, &client, &attacker).await);
    let own = callback(&fixture, &client, &victim).await;
    let injected = own.replace(&code(&own), &stolen);
    let page = victim.send(Request::get(&injected)).await;
    assert!(page.status.is_client_error(), "{page:?}");
    assert!(victim.cookie("_login").is_none());
    assert!(fixture.stores().logins.find_user(&fixture.user("alice")).await.unwrap().is_none());
    fixture.close().await;
}

#[tokio::test]
async fn t08_nothing_is_read_from_the_browser_on_the_way() {
    let fixture = GatewayFixture::start().await;
    let (client, browser) = (fixture.client("/mcp/dice").await, fixture.browser());
    let evil = [
        ("redirect_uri", "https://attacker.example/collect"),
        ("client_id", "ptn_client_other"),
        ("scope", "mcp uuid"),
        ("resource", "http://localhost/mcp"),
        ("state", "attacker"),
        ("code_challenge", "attackersattackersattackersattackersattacke"),
    ];
    let authorization = client.authorization();
    let page = client.begin(&browser, &authorization).await.page();
    let transaction = page.form("/auth/consent").value("transaction").to_owned();
    let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(evil).finish();
    let page = browser
        .open(&fixture.at(&format!("/auth/authorize?transaction={transaction}&{query}")))
        .await
        .page();
    assert!(!page.text().contains("attacker"), "{page:?}");
    let answer = evil.into_iter().chain([("decision", "allow")]);
    let returned = page.form("/auth/consent").submit(answer).await.returned();
    authorization.check(&returned, &client.discovery);
    let tokens = client.tokens(client.redeem(&authorization, &returned.code()).await);
    assert_eq!(tokens.scope, "mcp");
    let grants = fixture.grants_of("alice").await;
    assert_eq!(grants[0].resources.to_string(), fixture.at("/mcp/dice"));
    assert_eq!(grants[0].client.as_str(), client.id);
    fixture.close().await;
}

#[tokio::test]
async fn t08_a_transaction_belongs_to_the_browser_that_began_it() {
    let fixture = GatewayFixture::start().await;
    let (client, browser, thief) =
        (fixture.client("/mcp").await, fixture.browser(), fixture.browser());
    let page = client.begin(&browser, &client.authorization()).await.page();
    let transaction = page.form("/auth/consent").value("transaction").to_owned();
    fixture.sign_in(&thief).await;
    for path in ["/auth/authorize", "/auth/signin"] {
        let landing = thief.open(&fixture.at(&format!("{path}?transaction={transaction}"))).await;
        let Landing::Page(page) = landing else { panic!("a stolen transaction went on") };
        assert_eq!(page.status, 400, "{path}");
    }
    let own = client.begin(&thief, &client.authorization()).await.page();
    let answer = [("transaction", &*transaction), ("decision", "allow")];
    assert_eq!(
        own.form("/auth/consent").submit(answer).await.page().status,
        400,
        "the thief's own form, another's transaction"
    );
    let id = portunus_core::ids::TransactionId::from_text(transaction);
    let now = portunus_core::Clock::now(&*fixture.clock);
    let kept = fixture.stores().transactions.find_transaction(&id, now).await.unwrap().unwrap();
    assert_eq!(kept.consented_at, None, "nobody has allowed anything");
    fixture.close().await;
}
