//! Okta down, slow, changing its keys, or saying no (F3, F4): people get an explanation, clients
//! are told, and a user who is signed in does not notice.

use std::time::{Duration, Instant};

use futures::future::join_all;
use portunus_testkit::{
    agent::{McpClient, Page},
    figures::{Figures, Limit},
    okta::{Endpoint, Fault, Person, Tamper},
    redis::Server,
};
use serde_json::json;

use crate::fixture::{
    GatewayFixture, Setup,
    program::{Program, until},
};

/// How long a person may wait for the page that says that the provider cannot be reached (F3), on
/// an idle machine.
const PAGE: Duration = Duration::from_secs(5);

/// Begins an authorization with a new client, allows it, and gives the page it ends at, with what
/// the client is told when the person follows the way back.
async fn fails(fixture: &GatewayFixture) -> (Page, Option<String>) {
    let (page, told, _) = fails_after(fixture).await;
    (page, told)
}

/// The same with the time from the person's consent, which leads to the provider and back, to the
/// page.
async fn fails_after(fixture: &GatewayFixture) -> (Page, Option<String>, Duration) {
    let (client, browser) = (fixture.client("/mcp").await, fixture.browser());
    let authorization = client.authorization();
    let consent = client.begin(&browser, &authorization).await.page();
    let began = Instant::now();
    let page = consent.form("/auth/consent").submit([("decision", "allow")]).await.page();
    let took = began.elapsed();
    assert!(
        page.text().contains(page.header("x-request-id")),
        "the page has the request id: {page:?}"
    );
    assert!(browser.cookie("_login").is_none(), "nobody is signed in");
    if page.links().is_empty() {
        return (page, None, took);
    }
    let returned = page.click("Tell the application").await.returned();
    authorization.check(&returned, &client.discovery);
    let error = returned.find("error");
    (page, error, took)
}

#[tokio::test]
async fn f3_an_okta_that_is_down_is_a_503_page_and_tokens_go_on() {
    for endpoint in [Endpoint::Discovery, Endpoint::Token, Endpoint::Keys] {
        let fixture = GatewayFixture::start().await;
        fixture.okta.fail(endpoint, Fault::Status(500));
        let (page, told) = fails(&fixture).await;
        assert_eq!(page.status, 503, "{endpoint:?}");
        assert!(page.text().contains("cannot be reached"), "{page:?}");
        assert_eq!(told.as_deref(), Some("temporarily_unavailable"), "{endpoint:?}");
        fixture.close().await;
    }
}

#[tokio::test]
async fn f3_an_okta_that_hangs_is_a_503_page_within_the_deadline() {
    let fixture = GatewayFixture::start().await;
    fixture.okta.fail(Endpoint::Token, Fault::Hang);
    fixture.okta.fail(Endpoint::Token, Fault::Hang);
    let (page, told, took) = fails_after(&fixture).await;
    assert_eq!(page.status, 503);
    assert_eq!(told.as_deref(), Some("temporarily_unavailable"));
    fixture.close().await;
    let figures = Figures::of("F3", "sqlite", "the provider hangs");
    figures.within("time to the page", &[took], Limit::now(PAGE)).report();
}

#[tokio::test]
async fn f3_whoever_is_signed_in_does_not_notice() {
    let fixture = GatewayFixture::start().await;
    let (client, browser, tokens) = fixture.connect("/mcp/uuid").await;
    for endpoint in [
        Endpoint::Discovery,
        Endpoint::Keys,
        Endpoint::Authorize,
        Endpoint::Token,
        Endpoint::Userinfo,
    ] {
        fixture.okta.fail(endpoint, Fault::Hang);
    }
    let mcp = McpClient::connect(&browser, &fixture.at("/mcp/uuid"), &tokens.access).await;
    assert_eq!(mcp.call_text("add", json!({"a": 1, "b": 1})).await, "2");
    let tokens = client.tokens(client.refresh(tokens.refresh()).await);
    McpClient::connect(&browser, &fixture.at("/mcp/uuid"), &tokens.access).await;
    // A new client in a browser that is signed in needs no Okta either.
    fixture.client("/mcp").await.connect(&browser).await;
    fixture.close().await;
}

#[tokio::test]
async fn f3_tokens_work_and_sign_ins_are_refused_over_each_store() {
    let redis = Server::start(&[]);
    for (store, redis) in [("sqlite", None), ("redis", Some(&redis))] {
        let fixture = GatewayFixture::over(redis, Setup::default()).await;
        let (client, browser, tokens) = fixture.connect("/mcp/uuid").await;
        let mcp = McpClient::connect(&browser, &fixture.at("/mcp/uuid"), &tokens.access).await;
        let (mut calls, mut wrong, mut answered) = (0, 0, Vec::new());
        for fault in [Fault::Status(500), Fault::Garbage, Fault::Hang] {
            fixture.okta.fail(Endpoint::Token, fault);
            let calling = async {
                for _ in 0..20 {
                    let answer = mcp.call("add", json!({"a": 1, "b": 1})).await;
                    wrong += usize::from(answer["result"]["content"][0]["text"] != "2");
                    calls += 1;
                }
            };
            let ((page, _, took), ()) = tokio::join!(fails_after(&fixture), calling);
            let expected = if fault == Fault::Garbage { 502 } else { 503 };
            assert_eq!(page.status.as_u16(), expected, "{fault:?}");
            answered.push(took);
            client.tokens(client.refresh(tokens.refresh()).await);
        }
        fixture.close().await;
        let figures = Figures::of(
            "F3",
            store,
            "the provider answers 500, nonsense, nothing; others call and refresh meanwhile",
        );
        let figures = figures.exactly("calls", calls, 60).exactly("calls that failed", wrong, 0);
        // The longest counts: only one of the faults takes time.
        let longest = answered.iter().max().copied().unwrap_or_default();
        figures.within("time to the page", &[longest], Limit::now(PAGE)).report();
    }
}

#[tokio::test]
async fn f4_keys_rotate_and_a_flood_comes_over_each_store() {
    let redis = Server::start(&[]);
    for (store, redis) in [("sqlite", None), ("redis", Some(&redis))] {
        let fixture = GatewayFixture::over(redis, Setup::default()).await;
        let mut signed_in = 0;
        for rotation in 0..=10 {
            if rotation > 0 {
                fixture.okta.rotate_keys();
            }
            let (client, browser) = (fixture.client("/mcp").await, fixture.browser());
            signed_in += usize::from(
                client.authorize(&browser, &client.authorization()).await.find("code").is_some(),
            );
        }
        let (before, began) = (fixture.okta.count(Endpoint::Keys), Instant::now());
        for _ in 0..30 {
            fixture.okta.tamper_next(Tamper::UnknownKid);
        }
        for (page, _) in join_all((0..30).map(|_| fails(&fixture))).await {
            assert_eq!(page.status, 400);
        }
        // One for the flood, and on a machine so busy that it lasts, one more for each ten seconds.
        let windows = usize::try_from(began.elapsed().as_secs() / 10).unwrap();
        let fetches = fixture.okta.count(Endpoint::Keys) - before;
        fixture.connect("/mcp").await;
        fixture.close().await;
        let figures = Figures::of(
            "F4",
            store,
            "a new key before each sign-in; then 30 at once with keys that nobody publishes",
        );
        let figures = figures.exactly("sign-ins that failed", 11 - signed_in, 0).at_most(
            "fetches of keys for them",
            before,
            11,
        );
        figures
            .and("refused", 30)
            .at_most("fetches of keys for the flood", fetches, 1 + windows)
            .report();
    }
}

#[tokio::test]
async fn what_okta_refuses_reaches_the_person_as_an_explanation() {
    let fixture = GatewayFixture::start().await;
    let groups = "The 'groups' user claim could not be evaluated.";
    let cases = [
        (
            "access_denied",
            "User is not assigned to the client application.",
            403,
            "not be assigned",
            "access_denied",
        ),
        ("server_error", groups, 403, "more groups than", "access_denied"),
        (
            "login_required",
            "The client specified not to prompt",
            403,
            "sign in there first",
            "access_denied",
        ),
        (
            "invalid_scope",
            "One or more scopes are not configured",
            502,
            "not set up correctly",
            "server_error",
        ),
        ("temporarily_unavailable", "Try later", 503, "had an error", "temporarily_unavailable"),
        (
            "temporarily_unavailable",
            "authentication_expired",
            403,
            "took too long",
            "access_denied",
        ),
    ];
    for (error, description, status, words, expected) in cases {
        fixture.okta.refuse_next(error, description);
        let (page, told) = fails(&fixture).await;
        assert_eq!(page.status, status, "{error}");
        assert!(page.text().contains(words), "{error}: {}", page.text());
        assert!(
            !page.text().contains(description),
            "what Okta says is for the log: {}",
            page.text()
        );
        assert_eq!(told.as_deref(), Some(expected), "{error}");
    }
    assert_eq!(fixture.grants("alice").await, 0);
    fixture.close().await;
}

#[tokio::test]
async fn somebody_who_is_not_assigned_stays_outside() {
    let fixture = GatewayFixture::start().await;
    fixture.okta.sign_in_as("carol");
    let (page, told) = fails(&fixture).await;
    assert_eq!((page.status.as_u16(), told.as_deref()), (403, Some("access_denied")));
    let crowd: Vec<String> = (0..101).map(|n| format!("group-{n}")).collect();
    let crowd: Vec<&str> = crowd.iter().map(String::as_str).collect();
    fixture.okta.put_person(Person::new("dave", &crowd));
    fixture.okta.sign_in_as("dave");
    let (page, _) = fails(&fixture).await;
    assert!(page.text().contains("more groups than"), "{page:?}");
    assert!(fixture.stores().logins.find_user(&fixture.user("carol")).await.unwrap().is_none());
    fixture.close().await;
}

#[tokio::test]
async fn an_id_token_that_does_not_verify_signs_nobody_in() {
    let fixture = GatewayFixture::start().await;
    for tamper in [Tamper::WrongKey, Tamper::AlgNone, Tamper::WrongAudience, Tamper::Expired] {
        fixture.okta.tamper_next(tamper);
        let (page, told) = fails(&fixture).await;
        assert_eq!(
            (page.status.as_u16(), told.as_deref()),
            (400, Some("access_denied")),
            "{tamper:?}"
        );
    }
    // That may be set so at the provider (FB67): whatever it is, no user is signed in.
    fixture.okta.tamper_next(Tamper::Hs256WithClientSecret);
    let (page, told) = fails(&fixture).await;
    assert_eq!((page.status.as_u16(), told.as_deref()), (502, Some("server_error")));
    assert!(fixture.stores().logins.find_user(&fixture.user("alice")).await.unwrap().is_none());
    fixture.close().await;
}

#[tokio::test]
async fn fb55_a_provider_that_would_let_nobody_in_is_in_the_log_before_the_first_person_comes() {
    const SAID: &str = "people cannot sign in";
    let told = async |variables: &[(&str, &str)]| {
        let program = Program::start(variables).await;
        until(|| {
            [SAID, "the identity provider answers"].iter().any(|line| program.log().contains(line))
        })
        .await;
        program.signal("INT");
        let log = program.log();
        (program, log)
    };
    let (program, log) = told(&[("AUTH_OKTA_ISSUER", "http://127.0.0.1:1/oauth2/default")]).await;
    assert!(!log.contains("the identity provider answers"), "{log}");
    let line = log.lines().find(|line| line.contains(SAID)).unwrap();
    assert!(
        line.contains("AUTH_OKTA_ISSUER")
            && line.contains("\"level\":\"WARN\"")
            && line.contains("advice"),
        "{line}"
    );
    assert_eq!(program.end().await.code(), Some(0));
    let (program, log) = told(&[]).await;
    assert!(!log.contains(SAID), "{log}");
    assert_eq!(program.end().await.code(), Some(0));
}
