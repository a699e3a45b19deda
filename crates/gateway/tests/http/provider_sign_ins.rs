//! Sign-ins at identity providers as a browser sees them: an old sign-in, a refusal, a signed-out
//! page. A provider that is down is next door, in `tests/ops/provider_outage.rs`.

use portunus_testkit::{
    agent::Page,
    okta::{Endpoint, Fault, Person, Tamper},
};
use serde_json::json;

use crate::fixture::GatewayFixture;

/// The page that a sign-in of a new person ends at.
async fn page(fixture: &GatewayFixture) -> Page {
    let (client, browser) = (fixture.client("/mcp").await, fixture.browser());
    browser.stop_at(&client.redirect_uri);
    let consent = client.begin(&browser, &client.authorization()).await.page();
    consent.form("/auth/consent").submit([("decision", "allow")]).await.page()
}

#[tokio::test]
async fn fb64_only_a_sign_in_that_is_new_enough_counts() {
    let fixture = GatewayFixture::start().await;
    let now = || portunus_core::Clock::now(&*fixture.clock).as_secs();
    // What was asked, how old the provider's sign-in is (`None`: it does not say), and whether that
    // does.
    for (name, value, age, fits) in [
        ("prompt", "login", Some(0), true),
        ("prompt", "login", Some(3600), false),
        ("prompt", "login", None, false),
        ("max_age", "600", Some(500), true),
        ("max_age", "600", Some(900), false),
        ("max_age", "0", Some(300), false),
        ("max_age", "600", None, false),
        ("login_hint", "alice", Some(90_000), true),
        ("login_hint", "alice", None, true),
    ] {
        let auth_time = age.map_or(json!(null), |age| json!(now() - age));
        fixture.okta.put_person(Person {
            more_claims: vec![("auth_time".to_owned(), auth_time)],
            ..Person::new("alice", &[])
        });
        let (client, browser) = (fixture.client("/mcp").await, fixture.browser());
        browser.stop_at(&client.redirect_uri);
        let authorization = client.authorization().with(name, value);
        let consent = client.begin(&browser, &authorization).await.page();
        let landing = consent.form("/auth/consent").submit([("decision", "allow")]).await;
        let is_through = match landing {
            portunus_testkit::agent::Landing::Client(_) => true,
            portunus_testkit::agent::Landing::Page(page) => page.has_form("/auth/consent"),
        };
        assert_eq!(is_through, fits, "{name}={value}, {age:?} s old");
    }
    fixture.close().await;
}

#[tokio::test]
async fn fb66_fb70_who_was_turned_away_may_begin_again() {
    let fixture = GatewayFixture::start().await;
    for (error, description, words) in [
        ("access_denied", "The resource owner denied the request", "You declined"),
        ("temporarily_unavailable", "authentication_expired", "took too long"),
        ("server_error", "unexpected", "had an error"),
    ] {
        fixture.okta.refuse_next(error, description);
        let page = page(&fixture).await;
        assert!(
            page.text().contains(words) && !page.text().contains("cannot be reached"),
            "{error}: {}",
            page.text()
        );
        // With the same request, which has not ended: the application still waits for it.
        let returned = page.click("Start again").await.returned();
        assert!(returned.find("code").is_some(), "{error}: {}", returned.url);
    }
    // What only an administrator can mend is not begun again.
    fixture.okta.tamper_next(Tamper::Rs512);
    let page = page(&fixture).await.expect(502);
    assert!(page.links().iter().all(|(_, text)| !text.contains("Start again")), "{page:?}");
    assert!(page.text().contains("administrator"), "{}", page.text());
    fixture.close().await;
}

#[tokio::test]
async fn fb72_the_signed_out_page_says_what_happened() {
    let fixture = GatewayFixture::start().await;
    let signed_out = || async {
        fixture.okta.sign_in_as("alice");
        let browser = fixture.browser();
        fixture.sign_in(&browser).await;
        let home = browser.open(&fixture.at("/")).await.page();
        (home.form("/auth/signout").submit([]).await.page().expect(200).text(), browser)
    };
    let (told, browser) = signed_out().await;
    assert!(
        told.contains("Here and at Acme okta") && !told.contains("may still be signed in"),
        "{told}"
    );
    // Once, to the browser that was there.
    let again = browser.open(&fixture.at("/auth/signout")).await.page().text();
    assert!(again.contains("may still be signed in"), "{again}");
    let stranger = fixture
        .browser()
        .open(&fixture.at("/auth/signout?state=ptn_st_made-up"))
        .await
        .page()
        .text();
    assert!(stranger.contains("may still be signed in"), "{stranger}");
    // A provider that could not be asked has confirmed nothing.
    fixture
        .okta
        .fail(Endpoint::Logout, Fault::Says(200, "text/html", "<p>Do you want to sign out?</p>"));
    let (told, _) = signed_out().await;
    assert!(!told.contains("Here and at"), "{told}");
    fixture.close().await;
}
