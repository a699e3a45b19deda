//! `/` and `/tools`: what a person sees of their own (parity A9). Disconnecting an application is
//! next door, in [`super::grants`].

use insta::assert_snapshot;
use portunus_testkit::agent::Request;

use crate::fixture::GatewayFixture;

#[tokio::test]
async fn the_front_page_shows_me_my_servers_and_my_applications() {
    let fixture = GatewayFixture::start().await;
    let browser = fixture.browser();
    let welcome = browser.open(&fixture.at("/")).await.page().expect(200);
    assert!(!welcome.text().contains("My servers"), "{welcome:?}");
    let home = welcome.click("Sign in").await.page().expect(200);
    assert_eq!(home.url.as_str(), fixture.at("/"));
    let text = home.text();
    for expected in [
        "Alice Example",
        "alice@acme.example",
        "engineering",
        "dice",
        &fixture.at("/mcp/dice"),
        "uuid",
        "stdio",
        "http",
    ] {
        assert!(text.contains(expected), "{expected}: {text}");
    }
    assert!(text.contains("You have not allowed any application yet"), "{text}");
    let client = fixture.client("/mcp/uuid").await;
    client.connect(&browser).await;
    let text = browser.open(&fixture.at("/")).await.page().text();
    assert!(text.contains("Test client") && text.contains(&fixture.at("/mcp/uuid")), "{text}");
    fixture.close().await;
}

#[tokio::test]
async fn my_tools_by_token_and_by_login() {
    let fixture = GatewayFixture::start().await;
    let (_, browser, tokens) = fixture.connect("/mcp").await;
    let by_login = browser.send(Request::get(&fixture.at("/tools"))).await.expect(200);
    let by_token = fixture
        .browser()
        .send(Request::get(&fixture.at("/tools")).bearer(&tokens.access))
        .await
        .expect(200);
    assert_eq!(by_login.json(), by_token.json());
    let tools = by_login.json()["tools"].as_array().unwrap().clone();
    let names = tools.iter().map(|tool| format!("{}: {}\n", tool["server"], tool["name"]));
    assert_snapshot!(names.collect::<String>().replace('"', ""), @"
    dice: dice_roll
    uuid: uuid_echo
    uuid: uuid_add
    uuid: uuid_slow
    uuid: uuid_fail
    uuid: uuid_error
    uuid: uuid_hang
    uuid: uuid_cancelled
    uuid: uuid_count
    uuid: uuid_environment
    uuid: uuid_process
    uuid: uuid_offspring
    uuid: uuid_crash
    uuid: uuid_big
    uuid: uuid_noise
    uuid: uuid_log
    uuid: uuid_change_tools
    uuid: uuid_update_resource
    uuid: uuid_clock
    ");
    let refused = fixture.browser().send(Request::get(&fixture.at("/tools"))).await;
    assert_snapshot!(fixture.shown(&refused), @r#"
    401 Unauthorized
    cache-control: no-store
    content-type: application/json
    www-authenticate: Bearer resource_metadata="{gateway}/.well-known/oauth-protected-resource/mcp", scope="mcp"

    {"error":"invalid_token","error_description":"sign in: the WWW-Authenticate header says where"}
    "#);
    fixture.close().await;
}
