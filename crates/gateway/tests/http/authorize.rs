//! The authorization endpoint: what it refuses, and where it says so.

use portunus_testkit::{
    agent::{Landing, OAuthClient, Page},
    okta::Options,
};
use serde_json::json;

use crate::fixture::{GatewayFixture, Setup};

/// An error page that leads nowhere by itself.
#[track_caller]
fn is_dead_end(page: &Page) {
    assert_eq!(page.status, 400, "{page:?}");
    assert_eq!(page.header("location"), "");
    assert!(page.links().is_empty(), "no way out to an address we cannot trust: {page:?}");
}

#[tokio::test]
async fn t04_the_redirect_uri_must_be_the_one_that_was_registered() {
    let fixture = GatewayFixture::start().await;
    let metadata = json!({"redirect_uris": ["https://app.example/cb", "http://localhost:4000/cb"]});
    let client = OAuthClient::register_as(&fixture.browser(), &fixture.at("/mcp"), metadata).await;
    let tampered = [
        "https://app.example/cb/",
        "https://app.example/CB",
        "https://app.example/cb?x=1",
        "https://app.example/cb#f",
        "https://app.example/cb/../evil",
        "https://app.example:444/cb",
        "https://app.example.evil/cb",
        "https://app.example@evil/cb",
        "https://sub.app.example/cb",
        "http://app.example/cb",
        "http://localhost:4001/cb2",
        "http://localhost:4001@evil/cb",
        "http://127.0.0.1:4000/cb",
        "javascript:alert(1)",
        "",
    ];
    for uri in tampered {
        let landing = client
            .begin(&fixture.browser(), &client.authorization().with("redirect_uri", uri))
            .await;
        is_dead_end(&landing.page());
    }
    for uri in ["https://app.example/cb", "http://localhost:4000/cb", "http://localhost:65001/cb"] {
        let page = client
            .begin(&fixture.browser(), &client.authorization().with("redirect_uri", uri))
            .await
            .page();
        assert!(page.has_form("/auth/consent") && page.text().contains(uri), "{uri}: {page:?}");
    }
    fixture.close().await;
}

#[tokio::test]
async fn t04_at_the_token_endpoint_too() {
    let fixture = GatewayFixture::start().await;
    let (mut client, browser) = (fixture.client("/mcp").await, fixture.browser());
    let authorization = client.authorization();
    let code = client.authorize(&browser, &authorization).await.code();
    let registered =
        std::mem::replace(&mut client.redirect_uri, "http://127.0.0.1:9999/callback".to_owned());
    assert_eq!(client.redeem(&authorization, &code).await.expect(400).error(), "invalid_grant");
    client.redirect_uri = registered;
    client.tokens(client.redeem(&authorization, &code).await);
    fixture.close().await;
}

#[tokio::test]
async fn t05_local_redirects_are_taken_and_people_are_warned() {
    let fixture = GatewayFixture::start().await;
    for (uri, host) in [
        ("http://localhost:1/cb", "localhost"),
        ("http://127.0.0.1:1/cb", "127.0.0.1"),
        ("http://[::1]:1/cb", "[::1]"),
    ] {
        let metadata = json!({"redirect_uris": [uri]});
        let client =
            OAuthClient::register_as(&fixture.browser(), &fixture.at("/mcp"), metadata).await;
        let text = client
            .begin(&fixture.browser(), &client.authorization())
            .await
            .page()
            .expect(200)
            .text();
        assert!(
            text.contains("on your own computer") && text.contains(host) && text.contains(uri),
            "{text}"
        );
    }
    let metadata = json!({"redirect_uris": ["https://app.example/cb", "http://localhost:1/cb"]});
    let client = OAuthClient::register_as(&fixture.browser(), &fixture.at("/mcp"), metadata).await;
    let text =
        client.begin(&fixture.browser(), &client.authorization()).await.page().expect(200).text();
    assert!(!text.contains("on your own computer"), "{text}");
    fixture.close().await;
}

#[tokio::test]
async fn t07_a_parameter_that_comes_twice_is_refused() {
    let fixture = GatewayFixture::start().await;
    let client = fixture.client("/mcp").await;
    let names = [
        "client_id",
        "redirect_uri",
        "response_type",
        "scope",
        "state",
        "code_challenge",
        "code_challenge_method",
    ];
    for name in names {
        let twice = client.authorization().and(name, "first").and(name, "second");
        is_dead_end(&client.begin(&fixture.browser(), &twice).await.page());
    }
    // RFC 8707 lets `resource` be repeated; what that means is in `super::resource_indicators`.
    for path in ["/mcp", "/mcp/dice"] {
        let more = client.authorization().and("resource", &fixture.at(path));
        assert!(client.begin(&fixture.browser(), &more).await.page().has_form("/auth/consent"));
    }
    fixture.close().await;
}

/// The page for a request that is refused but may be told to the client, and what the client is
/// told.
async fn told(
    fixture: &GatewayFixture,
    client: &OAuthClient,
    spoilt: portunus_testkit::agent::Authorization,
) -> String {
    let browser = fixture.browser();
    let page = client.begin(&browser, &spoilt).await.page();
    assert_eq!(page.status, 400, "a page comes first (threat 11): {page:?}");
    let returned = page.click("Tell the application").await.returned();
    spoilt.check(&returned, &client.discovery);
    assert_eq!(returned.find("code"), None);
    returned.find("error").unwrap()
}

#[tokio::test]
async fn t09_pkce_is_required_and_s256() {
    let fixture = GatewayFixture::start().await;
    let client = fixture.client("/mcp").await;
    let spoilt = [
        client.authorization().without("code_challenge"),
        client.authorization().without("code_challenge").without("code_challenge_method"),
        client.authorization().with("code_challenge_method", "plain"),
        client.authorization().without("code_challenge_method"),
        client.authorization().with("code_challenge_method", "s256"),
        client.authorization().with("code_challenge", "short"),
        client.authorization().with("code_challenge", &"x".repeat(128)),
    ];
    for authorization in spoilt {
        assert_eq!(told(&fixture, &client, authorization).await, "invalid_request");
    }
    fixture.close().await;
}

#[tokio::test]
async fn t09_the_verifier_must_fit() {
    let fixture = GatewayFixture::start().await;
    let (client, browser) = (fixture.client("/mcp").await, fixture.browser());
    let authorization = client.authorization();
    let code = client.authorize(&browser, &authorization).await.code();
    let challenge = authorization.find("code_challenge").unwrap().to_owned();
    let other = client.authorization().verifier;
    for verifier in [
        &*other,
        &challenge,
        "",
        "short",
        &authorization.verifier[1..],
        &format!("{}x", authorization.verifier),
    ] {
        let mut tampered = authorization.clone();
        verifier.clone_into(&mut tampered.verifier);
        let error = client.redeem(&tampered, &code).await.expect(400).error();
        let expected = if verifier.is_empty() { "invalid_request" } else { "invalid_grant" };
        assert_eq!(error, expected, "{verifier:?}");
    }
    let tokens = client.tokens(client.redeem(&authorization, &code).await);
    assert_eq!(
        fixture.grants("alice").await,
        1,
        "wrong guesses took nothing from the rightful client (threat 15)"
    );
    client.tokens(client.refresh(tokens.refresh()).await);
    fixture.close().await;
}

#[tokio::test]
async fn t10_answers_say_which_server_they_are_from() {
    let fixture = GatewayFixture::start().await;
    let client = fixture.client("/mcp").await;
    assert_eq!(client.discovery.server["authorization_response_iss_parameter_supported"], true);
    assert_eq!(client.discovery.server["issuer"], fixture.url);
    let (authorization, browser) = (client.authorization(), fixture.browser());
    authorization.check(&client.authorize(&browser, &authorization).await, &client.discovery);
    // Errors carry it too: see `told`.
    assert_eq!(
        told(&fixture, &client, client.authorization().with("response_type", "token")).await,
        "unsupported_response_type"
    );
    fixture.close().await;
}

#[tokio::test]
async fn t10_oktas_iss_is_compared_byte_for_byte() {
    let fixture = GatewayFixture::of(Setup {
        okta: Options { sends_iss: true, ..Options::default() },
        ..Setup::default()
    })
    .await;
    let client = fixture.client("/mcp").await;
    let issuer = fixture.okta.custom_issuer("default");
    for forged in [
        format!("{issuer}/"),
        issuer.to_uppercase(),
        "https://other.okta.example".to_owned(),
        String::new(),
    ] {
        let browser = fixture.browser();
        browser.stop_at(&fixture.at("/auth/callback/okta"));
        let page = client.begin(&browser, &client.authorization()).await.page();
        let mut url =
            page.form("/auth/consent").submit([("decision", "allow")]).await.returned().url;
        let pairs: Vec<(String, String)> =
            url.query_pairs().into_owned().filter(|(name, _)| name != "iss").collect();
        url.query_pairs_mut().clear().extend_pairs(pairs).append_pair("iss", &forged);
        browser.send(portunus_testkit::agent::Request::get(url.as_str())).await.expect(400);
        assert!(browser.cookie("_login").is_none(), "{forged}");
    }
    client.connect(&fixture.browser()).await;
    fixture.close().await;
}

#[tokio::test]
async fn t11_nobody_is_redirected_by_an_error() {
    let fixture = GatewayFixture::start().await;
    let client = fixture.client("/mcp").await;
    is_dead_end(
        &client
            .begin(
                &fixture.browser(),
                &client.authorization().with("client_id", "ptn_client_unknown"),
            )
            .await
            .page(),
    );
    is_dead_end(
        &client
            .begin(&fixture.browser(), &client.authorization().without("client_id"))
            .await
            .page(),
    );
    let cases = [
        ("response_type", "code token", "unsupported_response_type"),
        ("response_mode", "fragment", "invalid_request"),
        ("request", "eyJub25lIn0", "invalid_request"),
        ("request_uri", "https://attacker.example/request", "invalid_request"),
        ("scope", "a\"b", "invalid_scope"),
        ("resource", "https://attacker.example/mcp", "invalid_target"),
    ];
    for (name, value, expected) in cases {
        assert_eq!(
            told(&fixture, &client, client.authorization().with(name, value)).await,
            expected,
            "{name}"
        );
    }
    fixture.close().await;
}

#[tokio::test]
async fn t11_redirects_after_a_form_turn_into_get() {
    let fixture = GatewayFixture::start().await;
    let (client, browser) = (fixture.client("/mcp").await, fixture.browser());
    for decision in ["allow", "deny"] {
        let page = client.begin(&browser, &client.authorization()).await.page();
        let answer =
            browser.send(page.form("/auth/consent").request([("decision", decision)])).await;
        assert_eq!(answer.status, 303, "{decision}");
    }
    let signing_out = fixture.browser();
    fixture.sign_in(&signing_out).await;
    let home = signing_out.open(&fixture.at("/")).await.page();
    signing_out.send(home.form("/auth/signout").request([])).await.expect(303);
    fixture.close().await;
}

#[tokio::test]
async fn t12_after_signing_in_people_stay_here() {
    let fixture = GatewayFixture::start().await;
    let away = [
        "//evil.example",
        "https://evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "/\t/evil.example",
        "javascript:alert(1)",
        "evil.example",
        "",
    ];
    for target in away {
        for name in ["return_to", "callbackUrl", "redirect_uri"] {
            let query = url::form_urlencoded::Serializer::new(String::new())
                .append_pair(name, target)
                .finish();
            let browser = fixture.browser();
            let landed = browser
                .open(&fixture.at(&format!("/auth/signin?{query}")))
                .await
                .page()
                .expect(200);
            assert_eq!(landed.url.as_str(), fixture.at("/"), "{name}={target}");
            // Once more, signed in: no request at Okta is in between.
            let landed = browser
                .open(&fixture.at(&format!("/auth/signin?{query}")))
                .await
                .page()
                .expect(200);
            assert_eq!(landed.url.as_str(), fixture.at("/"), "{name}={target}");
        }
    }
    let Landing::Page(landed) =
        fixture.browser().open(&fixture.at("/auth/signin?return_to=/tools")).await
    else {
        panic!()
    };
    assert_eq!(landed.expect(200).url.as_str(), fixture.at("/tools"));
    fixture.close().await;
}
