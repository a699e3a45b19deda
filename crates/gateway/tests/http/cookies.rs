//! Cookies and forms: what other sites can make a browser do.

use http::Method;
use portunus_core::{Clock as _, ids::TransactionId};
use portunus_testkit::agent::Request;

use crate::fixture::{GatewayFixture, Setup};

#[tokio::test]
async fn t14_on_https_cookies_are_locked_to_the_host() {
    let fixture = GatewayFixture::of(Setup { https: true, ..Setup::default() }).await;
    let (client, browser) = (fixture.client("/mcp").await, fixture.browser());
    browser.stop_at(&fixture.okta_authorize());
    let page = client.begin(&browser, &client.authorization()).await.page();
    page.form("/auth/consent").submit([("decision", "allow")]).await.returned();
    let signed_in = fixture.browser();
    fixture.sign_in(&signed_in).await;
    let cookies: Vec<_> = browser
        .cookies()
        .into_iter()
        .chain(signed_in.cookies())
        .filter(|c| c.host == "gw.example")
        .collect();
    for kind in ["_browser", "_login", "_state_"] {
        assert!(cookies.iter().any(|cookie| cookie.name.contains(kind)), "{kind}: {cookies:?}");
    }
    for cookie in cookies {
        assert!(cookie.name.starts_with("__Host-portunus_"), "{cookie:?}");
        assert!(cookie.secure && cookie.http_only && cookie.path == "/", "{cookie:?}");
        assert_eq!(cookie.same_site.as_deref(), Some("Lax"), "{cookie:?}");
        assert!(cookie.max_age.is_some(), "{cookie:?}");
    }
    fixture.close().await;
}

#[tokio::test]
async fn t14_consent_counts_only_from_the_page_that_was_shown() {
    let fixture = GatewayFixture::start().await;
    let (client, browser) = (fixture.client("/mcp").await, fixture.browser());
    fixture.sign_in(&browser).await;
    let page = client.begin(&browser, &client.authorization()).await.page();
    let form = page.form("/auth/consent");
    let transaction = form.value("transaction").to_owned();
    let others = client.begin(&fixture.browser(), &client.authorization()).await.page();
    let others_csrf = others.form("/auth/consent").value("csrf").to_owned();

    for csrf in ["", "x", &others_csrf, &others_csrf[1..]] {
        let answer = browser.send(form.request([("decision", "allow"), ("csrf", csrf)])).await;
        assert_eq!(answer.status, 400, "csrf {csrf:?}");
    }
    let fields = form.fields([("decision", "allow")]);
    let without_cookies =
        Request::form(Method::POST, &fixture.at("/auth/consent"), fields.clone()).without_cookies();
    browser.send(without_cookies).await.expect(400);
    // From another site the browser sends no Lax cookie; and if it did, its Origin would give it
    // away.
    let cross_site = Request::form(Method::POST, &fixture.at("/auth/consent"), fields.clone());
    browser.send(cross_site.clone().from_site("https://evil.example")).await.expect(403);
    browser.send(cross_site.clone().header("origin", "https://evil.example")).await.expect(403);
    browser.send(cross_site.header("origin", "null")).await.expect(403);
    let as_json = Request::post(&fixture.at("/auth/consent")).header("content-type", "text/plain");
    browser
        .send(as_json.body(
            url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish(),
        ))
        .await
        .expect(400);
    browser.send(Request::get(&fixture.at("/auth/consent"))).await.expect(405);

    let kept = fixture
        .stores()
        .transactions
        .find_transaction(&TransactionId::from_text(transaction), fixture.clock.now())
        .await;
    assert_eq!(kept.unwrap().unwrap().consented_at, None, "nothing was allowed");
    form.submit([("decision", "allow")]).await.returned().code();
    fixture.close().await;
}

#[tokio::test]
async fn t14_nobody_can_sign_somebody_else_out() {
    let fixture = GatewayFixture::start().await;
    let browser = fixture.browser();
    fixture.sign_in(&browser).await;
    let url = fixture.at("/auth/signout");
    let still_in = async || browser.open(&fixture.at("/")).await.page().text().contains("Alice");
    browser.open(&url).await.page();
    assert!(still_in().await, "GET signs nobody out");
    let stranger = fixture.browser();
    fixture.sign_in(&stranger).await;
    let others =
        stranger.open(&fixture.at("/")).await.page().form("/auth/signout").value("csrf").to_owned();
    for csrf in ["", "x", &others] {
        browser.send(Request::form(Method::POST, &url, [("csrf", csrf)])).await.expect(400);
    }
    browser
        .send(Request::form(Method::POST, &url, [("", "")]).from_site("https://evil.example"))
        .await
        .expect(403);
    assert!(still_in().await);
    fixture.close().await;
}

#[tokio::test]
async fn t14_a_cookie_that_was_planted_beside_ours_voids_both() {
    let fixture = GatewayFixture::start().await;
    let browser = fixture.browser();
    fixture.sign_in(&browser).await;
    let login = browser.cookie("_login").unwrap();
    let both = format!("{}={}; {}=ptn_ln_planted", login.name, login.value, login.name);
    let page = browser
        .send(Request::get(&fixture.at("/")).without_cookies().header("cookie", &both))
        .await;
    assert!(!page.text().contains("Alice"), "{page:?}");
    fixture.close().await;
}
