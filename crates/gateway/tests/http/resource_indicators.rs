//! Several resources in one authorization (RFC 8707): one consent, and each token for one of them.

use portunus_testkit::agent::{
    Agent, Authorization, McpClient, OAuthClient, Page, Request, Tokens,
};
use serde_json::json;

use crate::fixture::GatewayFixture;

/// An authorization for `/mcp/dice` and `/mcp/uuid` by a client that was registered for the first.
async fn for_two(fixture: &GatewayFixture) -> (OAuthClient, Authorization) {
    let client = fixture.client("/mcp/dice").await;
    let authorization = client.authorization().and("resource", &fixture.at("/mcp/uuid"));
    (client, authorization)
}

async fn redeem(
    client: &OAuthClient,
    authorization: &Authorization,
    code: &str,
    resources: &[String],
) -> Page {
    let fields = [
        ("grant_type", "authorization_code"),
        ("code", code),
        ("redirect_uri", &client.redirect_uri),
        ("code_verifier", &authorization.verifier),
    ];
    let named = resources.iter().map(|resource| ("resource", resource.as_str()));
    client.token_request(fields.into_iter().chain(named)).await
}

async fn refresh(client: &OAuthClient, token: &str, resource: Option<&str>) -> Page {
    let fields = [("grant_type", "refresh_token"), ("refresh_token", token)];
    client
        .token_request(fields.into_iter().chain(resource.map(|resource| ("resource", resource))))
        .await
}

async fn connected(fixture: &GatewayFixture, browser: &Agent) -> (OAuthClient, Tokens) {
    let (client, authorization) = for_two(fixture).await;
    let code = client.authorize(browser, &authorization).await.code();
    let tokens =
        client.tokens(redeem(&client, &authorization, &code, &[fixture.at("/mcp/dice")]).await);
    (client, tokens)
}

#[tokio::test]
async fn one_consent_for_several_servers() {
    let fixture = GatewayFixture::start().await;
    let browser = fixture.browser();
    let (client, authorization) = for_two(&fixture).await;
    let page = client.begin(&browser, &authorization).await.page();
    for expected in ["dice", "uuid", &fixture.at("/mcp/dice"), &fixture.at("/mcp/uuid")] {
        assert!(page.text().contains(expected), "{expected}: {page:?}");
    }
    let code = page.form("/auth/consent").submit([("decision", "allow")]).await.returned().code();
    let dice =
        client.tokens(redeem(&client, &authorization, &code, &[fixture.at("/mcp/dice")]).await);
    let uuid =
        client.tokens(refresh(&client, dice.refresh(), Some(&fixture.at("/mcp/uuid"))).await);
    McpClient::connect(&browser, &fixture.at("/mcp/dice"), &dice.access).await;
    McpClient::connect(&browser, &fixture.at("/mcp/uuid"), &uuid.access).await;
    assert_eq!(fixture.grants("alice").await, 1);

    let again = client.authorization().and("resource", &fixture.at("/mcp/uuid"));
    assert!(
        !client.authorize(&browser, &again).await.code().is_empty(),
        "it is remembered, whatever the order"
    );
    let alone = client.begin(&browser, &client.authorization()).await.page();
    assert!(alone.has_form("/auth/consent"), "and says nothing of one of them alone: {alone:?}");
    fixture.close().await;
}

#[tokio::test]
async fn t30_a_token_of_a_grant_for_several_is_for_one() {
    let fixture = GatewayFixture::start().await;
    let browser = fixture.browser();
    let (client, tokens) = connected(&fixture, &browser).await;
    let ping = json!({"jsonrpc": "2.0", "id": 1, "method": "ping"});
    // Past the resource_server, a session is asked for.
    for (path, expected) in [("/mcp/dice", 400), ("/mcp/uuid", 401), ("/mcp", 401)] {
        browser
            .send(Request::json(&fixture.at(path), &ping).without_cookies().bearer(&tokens.access))
            .await
            .expect(expected);
    }
    for resource in [fixture.at("/mcp"), "https://evil.example/mcp".to_owned()] {
        let refused = refresh(&client, tokens.refresh(), Some(&resource)).await.expect(400);
        assert_eq!(refused.error(), "invalid_target", "{resource}");
    }
    // Without one it is for what the last one was for.
    let (dice, uuid) = (fixture.at("/mcp/dice"), fixture.at("/mcp/uuid"));
    let mut last = tokens;
    for (named, is_for) in [
        (None, "/mcp/dice"),
        (Some(&uuid), "/mcp/uuid"),
        (None, "/mcp/uuid"),
        (Some(&dice), "/mcp/dice"),
    ] {
        last = client.tokens(refresh(&client, last.refresh(), named.map(String::as_str)).await);
        for path in ["/mcp/dice", "/mcp/uuid"] {
            let expected = if path == is_for { 400 } else { 401 };
            browser
                .send(
                    Request::json(&fixture.at(path), &ping).without_cookies().bearer(&last.access),
                )
                .await
                .expect(expected);
        }
    }
    fixture.close().await;
}

#[tokio::test]
async fn t30_the_token_request_names_one_of_them() {
    let fixture = GatewayFixture::start().await;
    let browser = fixture.browser();
    let (client, authorization) = for_two(&fixture).await;
    let code = client.authorize(&browser, &authorization).await.code();
    let (dice, uuid) = (fixture.at("/mcp/dice"), fixture.at("/mcp/uuid"));
    let cases = [
        vec![],
        vec![dice.clone(), uuid],
        vec![fixture.at("/mcp")],
        vec!["https://evil.example/mcp".to_owned()],
    ];
    for resources in cases {
        let refused = redeem(&client, &authorization, &code, &resources).await.expect(400);
        assert_eq!(refused.error(), "invalid_target", "{resources:?}");
    }
    client.tokens(redeem(&client, &authorization, &code, &[dice]).await);

    let foreign = client.authorization().and("resource", "https://evil.example/mcp");
    let page = client.begin(&browser, &foreign).await.page().expect(400);
    assert!(
        page.click("Tell the application").await.returned().find("error").as_deref()
            == Some("invalid_target")
    );
    fixture.close().await;
}
