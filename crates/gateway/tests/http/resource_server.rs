//! What the MCP endpoints accept (RFC 6750, RFC 8707): which token, from which origin and host, in
//! which form. Whole and cut tokens are next door, in [`super::malformed_requests`].

use insta::assert_snapshot;
use portunus::config::ProxyRoute;
use portunus_testkit::{
    agent::{McpClient, OAuthClient, Page, Request, raw},
    mcp_servers::FixtureServer,
};
use serde_json::json;

use crate::fixture::{GatewayFixture, Setup};

async fn ping(fixture: &GatewayFixture, path: &str, token: &str) -> Page {
    let ping = json!({"jsonrpc": "2.0", "id": 1, "method": "ping"});
    fixture.browser().send(Request::json(&fixture.at(path), &ping).bearer(token)).await
}

#[track_caller]
fn is_challenged(fixture: &GatewayFixture, answer: &Page, resource: &str) {
    assert_eq!(answer.status, 401, "{answer:?}");
    let challenge = answer.header("www-authenticate");
    assert!(challenge.contains("error=\"invalid_token\""), "{challenge}");
    let metadata = fixture.at(&format!("/.well-known/oauth-protected-resource{resource}"));
    assert!(challenge.contains(&format!("resource_metadata=\"{metadata}\"")), "{challenge}");
}

#[tokio::test]
async fn t30_a_token_is_good_for_its_own_resource_alone() {
    let legacy = FixtureServer::start().await;
    let proxies = vec![ProxyRoute::new("/mcp/legacy/", legacy.url().join("/").unwrap())];
    let fixture = GatewayFixture::of(Setup { proxies, ..Setup::default() }).await;
    let places = [
        ("/mcp", "/mcp"),
        ("/mcp/dice", "/mcp/dice"),
        ("/mcp/uuid", "/mcp/uuid"),
        ("/mcp/legacy/mcp", "/mcp/legacy"),
    ];
    for (home, _) in places {
        let (_, _, tokens) = fixture.connect(home).await;
        for (path, resource) in places {
            let answer = ping(&fixture, path, &tokens.access).await;
            if path == home {
                assert_ne!(answer.status, 401, "{home}: {answer:?}");
            } else {
                is_challenged(&fixture, &answer, resource);
            }
        }
        let by_query = ping(&fixture, "/mcp?server_name=dice", &tokens.access).await;
        assert_eq!(by_query.status == 401, home != "/mcp", "{home}: {by_query:?}");
    }
    assert!(legacy.seen().iter().all(|request| !request.headers.contains_key("authorization")));
    fixture.close().await;
}

#[tokio::test]
async fn t30_the_authorization_server_gives_tokens_for_its_own_resources_alone() {
    let fixture = GatewayFixture::start().await;
    let (client, browser) = (fixture.client("/mcp/dice").await, fixture.browser());
    for foreign in [
        "https://other.example/mcp",
        "http://localhost.evil/mcp",
        &fixture.at("/mcp/nobody"),
        &fixture.at("/mcp/dice#x"),
        "mcp",
    ] {
        let page = client
            .begin(&browser, &client.authorization().with("resource", foreign))
            .await
            .page()
            .expect(400);
        let told = page.click("Tell the application").await.returned();
        assert_eq!(told.find("error").as_deref(), Some("invalid_target"), "{foreign}");
    }
    let authorization = client.authorization();
    let code = client.authorize(&browser, &authorization).await.code();
    let widened = authorization.clone().with("resource", &fixture.at("/mcp"));
    assert_eq!(client.redeem(&widened, &code).await.expect(400).error(), "invalid_target");
    let tokens = client.tokens(client.redeem(&authorization, &code).await);
    let elsewhere = fixture.at("/mcp/uuid");
    let fields = [
        ("grant_type", "refresh_token"),
        ("refresh_token", tokens.refresh()),
        ("resource", &*elsewhere),
    ];
    assert_eq!(client.token_request(fields).await.expect(400).error(), "invalid_target");
    client.tokens(client.refresh(tokens.refresh()).await);
    fixture.close().await;
}

#[tokio::test]
async fn t30_a_scope_that_names_a_server_reaches_that_server_alone() {
    let fixture = GatewayFixture::start().await;
    let (client, browser) = (fixture.client("/mcp").await, fixture.browser());
    let authorization = client.authorization().with("scope", "dice");
    let code = client.authorize(&browser, &authorization).await.code();
    let tokens = client.tokens(client.redeem(&authorization, &code).await);
    let mcp = McpClient::connect(&browser, &fixture.at("/mcp"), &tokens.access).await;
    assert!(mcp.tools().await.iter().all(|tool| tool.starts_with("dice_")), "the list is filtered");
    let call = json!({"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": {"name": "uuid_echo", "arguments": {}}});
    // And the call is refused, by the same rule.
    assert_snapshot!(fixture.shown(&mcp.post(&call).await), @r#"
    403 Forbidden
    content-type: application/json
    www-authenticate: Bearer error="insufficient_scope", error_description="the access token does not cover this", scope="dice uuid", resource_metadata="{gateway}/.well-known/oauth-protected-resource/mcp"

    {"jsonrpc":"2.0","id":7,"error":{"code":-32010,"message":"Not granted: the tool echo of the server uuid"}}
    "#);
    let refused = ping(&fixture, "/mcp?server_name=uuid", &tokens.access).await;
    assert_snapshot!(fixture.shown(&refused), @r#"
    403 Forbidden
    content-type: application/json
    www-authenticate: Bearer error="insufficient_scope", error_description="the access token does not cover this", scope="dice uuid", resource_metadata="{gateway}/.well-known/oauth-protected-resource/mcp?server_name=uuid"

    {"jsonrpc":"2.0","id":null,"error":{"code":-32010,"message":"Not granted: the server uuid"}}
    "#);
    assert!(fixture.uuid.seen().is_empty(), "nothing reached the server");
    fixture.close().await;
}

#[tokio::test]
async fn t34_other_origins_and_hosts_are_refused() {
    let fixture = GatewayFixture::of(Setup {
        https: true,
        allowed_origins: vec!["https://ok.example".to_owned()],
        ..Setup::default()
    })
    .await;
    let (_, browser, tokens) = fixture.connect("/mcp").await;
    let ping = json!({"jsonrpc": "2.0", "id": 1, "method": "ping"});
    let ask = |path: &str| {
        Request::json(&fixture.at(path), &ping).without_cookies().bearer(&tokens.access)
    };
    for origin in [
        "https://evil.example",
        "null",
        "http://gw.example",
        "https://gw.example.evil",
        "http://localhost:6274",
        "https://gw.example:8443",
    ] {
        for path in ["/mcp", "/mcp/dice", "/tools", "/", "/auth/consent"] {
            let answer = browser.send(ask(path).header("origin", origin)).await;
            assert_eq!(answer.status, 403, "{origin} {path}: {answer:?}");
            assert_eq!(answer.header("access-control-allow-origin"), "");
        }
    }
    for origin in ["https://gw.example", "https://ok.example"] {
        let answer = browser.send(ask("/mcp").header("origin", origin)).await;
        assert_eq!(answer.status, 400, "past the door, a session is asked for: {answer:?}");
    }
    for host in ["evil.example", "gw.example.evil", "localhost", "127.0.0.1", "gw.example:8443"] {
        let bytes = format!("GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        assert_eq!(raw::exchange(fixture.address, bytes.as_bytes()).await.status(), 403, "{host}");
    }
    fixture.close().await;
}

#[tokio::test]
async fn t34_a_rebound_name_does_not_reach_a_gateway_on_loopback() {
    let fixture = GatewayFixture::start().await;
    let port = fixture.address.port();
    for (host, is_fine) in [
        ("localhost", true),
        ("127.0.0.1", true),
        ("[::1]", true),
        ("evil.example", false),
        ("localhost.evil", false),
    ] {
        let bytes = format!(
            "GET /auth/jwks.json HTTP/1.1\r\nHost: {host}:{port}\r\nConnection: close\r\n\r\n"
        );
        let status = raw::exchange(fixture.address, bytes.as_bytes()).await.status();
        assert_eq!(status, if is_fine { 200 } else { 403 }, "{host}");
    }
    fixture.close().await;
}

#[tokio::test]
async fn t34_only_json_is_taken() {
    let fixture = GatewayFixture::start().await;
    let (_, browser, tokens) = fixture.connect("/mcp").await;
    let ping = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;
    for kind in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/jsonp",
        "",
    ] {
        let request = Request::post(&fixture.at("/mcp"))
            .without_cookies()
            .bearer(&tokens.access)
            .header("content-type", kind);
        browser.send(request.body(ping)).await.expect(415);
    }
    browser
        .send(
            Request::post(&fixture.at("/mcp")).without_cookies().bearer(&tokens.access).body(ping),
        )
        .await
        .expect(415);
    fixture.close().await;
}

#[tokio::test]
async fn t36_a_session_belongs_to_its_user_client_and_resource() {
    let fixture = GatewayFixture::start().await;
    let (_, browser, tokens) = fixture.connect("/mcp").await;
    let own = McpClient::connect(&browser, &fixture.at("/mcp"), &tokens.access).await;
    // One that says it is another application: the same one, registered anew, goes on with its
    // session (FB77).
    let other = json!({ "client_name": "Another client" });
    let other = OAuthClient::register_as(&fixture.browser(), &fixture.at("/mcp"), other).await;
    let other_client = other.connect(&fixture.browser()).await;
    let (_, _, other_resource) = fixture.connect("/mcp/dice").await;
    fixture.okta.sign_in_as("bob");
    let (_, _, other_user) = fixture.connect("/mcp").await;
    let ping = json!({"jsonrpc": "2.0", "id": 9, "method": "ping"});
    for (url, token) in [
        (own.url.clone(), &other_client),
        (fixture.at("/mcp/dice"), &other_resource),
        (own.url.clone(), &other_user),
    ] {
        let stolen = Request::json(&url, &ping)
            .without_cookies()
            .bearer(&token.access)
            .header("mcp-session-id", &own.session);
        assert_eq!(browser.send(stolen).await.status, 404, "as unknown");
    }
    browser.send(own.message(&ping)).await.expect(200);
    fixture.close().await;
}

#[tokio::test]
async fn t41_what_was_looked_up_a_moment_ago_is_checked_all_the_same() {
    let fixture = GatewayFixture::start().await;
    let (client, browser) = (fixture.client("/mcp").await, fixture.browser());
    let authorization = client.authorization();
    let code = client.authorize(&browser, &authorization).await.code();
    let tokens = client.tokens(client.redeem(&authorization, &code).await);
    assert_eq!(ping(&fixture, "/mcp", &tokens.access).await.status, 400, "known now");
    is_challenged(&fixture, &ping(&fixture, "/mcp/dice", &tokens.access).await, "/mcp/dice");
    assert_eq!(ping(&fixture, "/mcp", &tokens.access).await.status, 400);
    // Revoked: no look-up is trusted any more, not for a second.
    client.redeem(&authorization, &code).await.expect(400);
    is_challenged(&fixture, &ping(&fixture, "/mcp", &tokens.access).await, "/mcp");
    // Expired, though looked up a moment ago.
    let (_, _, tokens) = fixture.connect("/mcp").await;
    assert_eq!(ping(&fixture, "/mcp", &tokens.access).await.status, 400);
    fixture.clock.advance(std::time::Duration::from_secs(tokens.expires_in));
    is_challenged(&fixture, &ping(&fixture, "/mcp", &tokens.access).await, "/mcp");
    fixture.close().await;
}
