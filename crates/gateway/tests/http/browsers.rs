//! What browsers, and proxies between them and the gateway, really do: tabs, reloads, cookies of
//! one host, ports, preflights.

use portunus_testkit::{
    agent::{Agent, Landing, OAuthClient, Page, Request},
    okta::Endpoint,
};
use serde_json::json;

use crate::fixture::{GatewayFixture, Setup};

const ACCEPT: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";

/// Several tabs, opened at the same moment: none has a cookie yet when its request is sent.
async fn tabs(client: &OAuthClient, browser: &Agent, count: usize) -> Vec<Page> {
    let open = (0..count).map(|_| async {
        let page = browser
            .send(Request::get(client.authorization().url().as_str()).without_cookies())
            .await;
        assert!(page.has_form("/auth/consent"), "{page:?}");
        page
    });
    futures::future::join_all(open).await
}

#[tokio::test]
async fn fb01_every_one_of_several_tabs_can_finish() {
    let fixture = GatewayFixture::start().await;
    let client = fixture.client("/mcp").await;
    for count in [2, 7] {
        let browser = fixture.browser();
        browser.stop_at(&client.redirect_uri);
        let pages = tabs(&client, &browser, count).await;
        let mut codes = Vec::new();
        for page in pages {
            let landing = page.form("/auth/consent").submit([("decision", "allow")]).await;
            // Who has signed in since, in another tab, is asked by name.
            let landing = match landing {
                Landing::Page(page) => {
                    page.form("/auth/consent").submit([("decision", "allow")]).await
                }
                landing @ Landing::Client(_) => landing,
            };
            codes.push(landing.returned().code());
        }
        codes.dedup();
        assert_eq!(codes.len(), count, "each has a code of its own");
    }
    // One that was open all the time, and those of another browser.
    let browser = fixture.browser();
    let mine = tabs(&client, &browser, 2).await;
    let form = mine[0].form("/auth/consent").request([("decision", "allow")]);
    fixture.browser().send(form.clone()).await.expect(400);
    let stranger = fixture.browser();
    tabs(&client, &stranger, 2).await;
    stranger.send(form).await.expect(400);
    fixture.close().await;
}

#[tokio::test]
async fn fb02_a_callback_that_is_loaded_again_goes_on_in_its_own_browser() {
    let fixture = GatewayFixture::start().await;
    let client = fixture.client("/mcp").await;
    let browser = fixture.browser();
    browser.stop_at(&fixture.at("/auth/callback/okta"));
    let consent = client.begin(&browser, &client.authorization()).await.page();
    let callback =
        consent.form("/auth/consent").submit([("decision", "allow")]).await.returned().url;
    // A scanner of links comes first, and later.
    let scanner = fixture.browser();
    scanner.send(Request::get(callback.as_str())).await.expect(400);
    let next = browser.send(Request::get(callback.as_str())).await.expect(303);
    scanner.send(Request::get(callback.as_str())).await.expect(400);
    // The page is loaded again before the redirect was followed: it leads to the same step.
    let again = browser.send(Request::get(callback.as_str())).await.expect(303);
    assert_eq!(again.location(), next.location());
    assert_eq!(fixture.okta.count(Endpoint::Token), 1, "nothing of the answer was used again");
    browser.stop_at(&client.redirect_uri);
    let code = browser.visit(Request::get(next.location().as_str())).await.returned().code();
    assert!(!code.is_empty());
    // And after all is done.
    let page = browser.send(Request::get(callback.as_str())).await.expect(200);
    assert!(page.text().contains("You are signed in already"), "{page:?}");
    let wrong = callback.as_str().replace("state=", "state=x");
    browser.send(Request::get(&wrong)).await.expect(400);
    fixture.close().await;
}

#[tokio::test]
async fn fb03_our_own_forms_may_come_without_an_origin() {
    let fixture = GatewayFixture::start().await;
    let client = fixture.client("/mcp").await;
    let browser = fixture.browser();
    browser.stop_at(&client.redirect_uri);
    let page = client.begin(&browser, &client.authorization()).await.page();
    let form = || page.form("/auth/consent").request([("decision", "allow")]);
    for (site, status) in
        [(Some("cross-site"), 403), (Some("same-site"), 403), (Some("none"), 403), (None, 403)]
    {
        let mut request = form().hiding_origin();
        if let Some(site) = site {
            request = request.header("sec-fetch-site", site);
        }
        browser.send(request).await.expect(status);
    }
    let own = form().hiding_origin().header("sec-fetch-site", "same-origin");
    let forged = Request::form(
        http::Method::POST,
        &fixture.at("/auth/consent"),
        [("decision", "allow"), ("csrf", "x")],
    );
    let forged = forged.hiding_origin().header("sec-fetch-site", "same-origin");
    browser.send(forged).await.expect(400);
    browser.visit(own).await.returned().code();
    fixture.close().await;
}

#[tokio::test]
async fn fb05_a_host_with_many_cookies() {
    let fixture = GatewayFixture::start().await;
    let cookies =
        (0..20).map(|n| format!("other{n}={}", "x".repeat(1000))).collect::<Vec<_>>().join("; ");
    let page =
        fixture.browser().send(Request::get(&fixture.at("/")).header("cookie", &cookies)).await;
    assert_eq!(page.status, 200);
    #[expect(
        clippy::disallowed_methods,
        reason = "another version of HTTP than the browser of the tests speaks"
    )]
    let http2 = reqwest::Client::builder()
        .http2_prior_knowledge()
        .no_proxy()
        .tls_certs_only([])
        .build()
        .unwrap();
    let answer = http2.get(fixture.at("/")).header("cookie", &cookies).send().await.unwrap();
    assert_eq!((answer.status(), answer.version()), (http::StatusCode::OK, http::Version::HTTP_2));
    fixture.close().await;
}

#[tokio::test]
async fn fb06_the_default_port_may_be_written() {
    let fixture = GatewayFixture::of(Setup { https: true, ..Setup::default() }).await;
    let host = fixture.url.strip_prefix("https://").unwrap();
    for host in [host.to_owned(), format!("{host}:443"), host.to_uppercase()] {
        let answer =
            fixture.browser().send(Request::get(&fixture.at("/mcp")).header("host", &host)).await;
        assert_eq!(answer.status, 401, "{host}");
    }
    fixture
        .browser()
        .send(Request::get(&fixture.at("/mcp")).header("host", &format!("{host}:8443")))
        .await
        .expect(403);
    fixture.close().await;
}

#[tokio::test]
async fn fb07_the_metadata_names_the_address_that_was_asked() {
    let fixture = GatewayFixture::start().await;
    let agent = fixture.browser();
    for address in [
        "/mcp",
        "/mcp/",
        "/mcp/uuid",
        "/mcp/uuid/",
        "/mcp?server_name=uuid",
        "/mcp/?server_name=uuid",
    ] {
        let refused =
            agent.send(Request::post(&fixture.at(address)).without_cookies()).await.expect(401);
        let challenge = refused.header("www-authenticate").to_owned();
        let url =
            challenge.split("resource_metadata=\"").nth(1).unwrap().split('"').next().unwrap();
        let (path, query) =
            address.split_once('?').map_or((address, None), |(path, query)| (path, Some(query)));
        let query = query.map(|query| format!("?{query}")).unwrap_or_default();
        assert_eq!(url, fixture.at(&format!("/.well-known/oauth-protected-resource{path}{query}")));
        let document = agent.send(Request::get(url).without_cookies()).await.expect(200).json();
        assert_eq!(document["resource"], fixture.at(address), "RFC 9728 section 3.3");
        // And a token for it is one for what it leads to.
        let client = OAuthClient {
            discovery: fixture.client("/mcp").await.discovery,
            ..fixture.client(address.trim_end_matches('/')).await
        };
        let authorization = client.authorization().with("resource", &fixture.at(address));
        let browser = fixture.browser();
        let code = client.authorize(&browser, &authorization).await.code();
        let tokens = client.tokens(client.redeem(&authorization, &code).await);
        let called = agent
            .send(
                Request::post(&fixture.at(address))
                    .without_cookies()
                    .bearer(&tokens.access)
                    .body("{}"),
            )
            .await;
        assert_ne!(called.status, 401, "{address}");
    }
    fixture.close().await;
}

#[tokio::test]
async fn fb08_a_preflight_is_told_what_it_may_send() {
    let fixture = GatewayFixture::of(Setup {
        allowed_origins: vec!["https://app.example".to_owned()],
        ..Setup::default()
    })
    .await;
    let agent = fixture.browser();
    let preflight = |path: &str, origin: &str, wanted: &str| {
        let request = Request::new(http::Method::OPTIONS, &fixture.at(path))
            .header("origin", origin)
            .without_cookies();
        request
            .header("access-control-request-method", "POST")
            .header("access-control-request-headers", wanted)
    };
    for wanted in [
        "mcp-param-region, mcp-param-x-y",
        "traceparent,tracestate",
        "x-own",
        "authorization, content-type",
    ] {
        let answer = agent.send(preflight("/mcp", "https://app.example", wanted)).await.expect(204);
        let allowed: Vec<&str> =
            answer.header("access-control-allow-headers").split(", ").collect();
        for name in wanted.split(',').map(str::trim).chain([
            "authorization",
            "mcp-session-id",
            "mcp-protocol-version",
        ]) {
            assert!(allowed.contains(&name), "{name} in {allowed:?}");
        }
        agent.send(preflight("/mcp", "https://evil.example", wanted)).await.expect(403);
    }
    let answer = agent
        .send(preflight("/mcp", "https://app.example", "x y, good, b\u{e4}d"))
        .await
        .expect(204);
    assert!(answer.header("access-control-allow-headers").ends_with(", good"), "{answer:?}");
    fixture.close().await;
}

#[tokio::test]
async fn fb09_a_person_who_opens_an_address_of_applications_sees_a_page() {
    let fixture = GatewayFixture::start().await;
    let agent = fixture.browser();
    for (path, status, text) in [
        ("/mcp", 401, "This address is for applications"),
        ("/mcp/uuid", 401, "This address is for applications"),
        ("/tools", 401, "Sign in to see your tools"),
        ("/nowhere", 404, "There is nothing here"),
        ("/mcp/nowhere", 404, "There is nothing here"),
        ("/auth/token", 405, "This address is for applications"),
    ] {
        let page = agent
            .send(Request::get(&fixture.at(path)).header("accept", ACCEPT))
            .await
            .expect(status);
        assert!(
            page.header("content-type").starts_with("text/html") && page.text().contains(text),
            "{path}: {page:?}"
        );
        assert!(
            page.header("content-security-policy").contains("default-src 'none'"),
            "{path}: {page:?}"
        );
        assert!(
            page.links().iter().any(|(_, href)| href == "/" || href.starts_with("/auth/signin")),
            "{path}: {page:?}"
        );
        if status == 401 {
            assert!(page.header("www-authenticate").starts_with("Bearer"), "{path}: {page:?}");
        }
        let data = agent
            .send(Request::get(&fixture.at(path)).header("accept", "application/json"))
            .await
            .expect(status);
        assert!(!data.header("content-type").starts_with("text/html"), "{path}: {data:?}");
    }
    let tools = agent.send(Request::get(&fixture.at("/tools")).header("accept", ACCEPT)).await;
    let list = tools.click("Sign in").await.page().expect(200);
    assert!(list.json()["tools"].is_array(), "{list:?}");
    let refused = agent
        .send(
            Request::json(&fixture.at("/mcp"), &json!({}))
                .header("accept", ACCEPT)
                .without_cookies(),
        )
        .await;
    assert!(
        !refused.header("content-type").starts_with("text/html"),
        "a form is no visit: {refused:?}"
    );
    fixture.close().await;
}
