//! Cookies and forms: what other sites can make a browser do.

use http::Method;
use portunus_core::{Clock as _, ids::TransactionId};
use portunus_testkit::agent::Request;

use crate::fixture::{Setup, World};

#[tokio::test]
async fn t14_on_https_cookies_are_locked_to_the_host() {
    let world = World::of(Setup { https: true, ..Setup::default() }).await;
    let (client, browser) = (world.client("/mcp").await, world.browser());
    browser.stop_at(&world.okta_authorize());
    let page = client.begin(&browser, &client.authorization()).await.page();
    page.form("/auth/consent").submit([("decision", "allow")]).await.returned();
    let signed_in = world.browser();
    world.sign_in(&signed_in).await;
    let cookies: Vec<_> = browser.cookies().into_iter().chain(signed_in.cookies()).filter(|c| c.host == "gw.example").collect();
    for kind in ["_browser", "_login", "_state_"] {
        assert!(cookies.iter().any(|cookie| cookie.name.contains(kind)), "{kind}: {cookies:?}");
    }
    for cookie in cookies {
        assert!(cookie.name.starts_with("__Host-portunus_"), "{cookie:?}");
        assert!(cookie.secure && cookie.http_only && cookie.path == "/", "{cookie:?}");
        assert_eq!(cookie.same_site.as_deref(), Some("Lax"), "{cookie:?}");
        assert!(cookie.max_age.is_some(), "{cookie:?}");
    }
    world.close().await;
}

#[tokio::test]
async fn t14_consent_counts_only_from_the_page_that_was_shown() {
    let world = World::start().await;
    let (client, browser) = (world.client("/mcp").await, world.browser());
    world.sign_in(&browser).await;
    let page = client.begin(&browser, &client.authorization()).await.page();
    let form = page.form("/auth/consent");
    let transaction = form.value("transaction").to_owned();
    let others = client.begin(&world.browser(), &client.authorization()).await.page();
    let others_csrf = others.form("/auth/consent").value("csrf").to_owned();

    for csrf in ["", "x", &others_csrf, &others_csrf[1..]] {
        let answer = browser.send(form.request([("decision", "allow"), ("csrf", csrf)])).await;
        assert_eq!(answer.status, 400, "csrf {csrf:?}");
    }
    let fields = form.fields([("decision", "allow")]);
    let without_cookies = Request::form(Method::POST, &world.at("/auth/consent"), fields.clone()).without_cookies();
    browser.send(without_cookies).await.expect(400);
    // From another site the browser sends no Lax cookie; and if it did, its Origin would give it away.
    let cross_site = Request::form(Method::POST, &world.at("/auth/consent"), fields.clone());
    browser.send(cross_site.clone().from_site("https://evil.example")).await.expect(403);
    browser.send(cross_site.clone().header("origin", "https://evil.example")).await.expect(403);
    browser.send(cross_site.header("origin", "null")).await.expect(403);
    let as_json = Request::post(&world.at("/auth/consent")).header("content-type", "text/plain");
    browser
        .send(as_json.body(url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish()))
        .await
        .expect(400);
    browser.send(Request::get(&world.at("/auth/consent"))).await.expect(405);

    let kept = world.stores().transactions.find_transaction(&TransactionId::from_text(transaction), world.clock.now()).await;
    assert_eq!(kept.unwrap().unwrap().consented_at, None, "nothing was allowed");
    form.submit([("decision", "allow")]).await.returned().code();
    world.close().await;
}

#[tokio::test]
async fn t14_nobody_can_sign_somebody_else_out() {
    let world = World::start().await;
    let browser = world.browser();
    world.sign_in(&browser).await;
    let url = world.at("/auth/signout");
    let still_in = async || browser.open(&world.at("/")).await.page().text().contains("Alice");
    browser.open(&url).await.page();
    assert!(still_in().await, "GET signs nobody out");
    let stranger = world.browser();
    world.sign_in(&stranger).await;
    let others = stranger.open(&world.at("/")).await.page().form("/auth/signout").value("csrf").to_owned();
    for csrf in ["", "x", &others] {
        browser.send(Request::form(Method::POST, &url, [("csrf", csrf)])).await.expect(400);
    }
    browser.send(Request::form(Method::POST, &url, [("", "")]).from_site("https://evil.example")).await.expect(403);
    assert!(still_in().await);
    world.close().await;
}

#[tokio::test]
async fn t14_a_cookie_that_was_planted_beside_ours_voids_both() {
    let world = World::start().await;
    let browser = world.browser();
    world.sign_in(&browser).await;
    let login = browser.cookie("_login").unwrap();
    let both = format!("{}={}; {}=ptn_ln_planted", login.name, login.value, login.name);
    let page = browser.send(Request::get(&world.at("/")).without_cookies().header("cookie", &both)).await;
    assert!(!page.text().contains("Alice"), "{page:?}");
    world.close().await;
}
