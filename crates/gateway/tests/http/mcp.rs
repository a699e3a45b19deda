//! MCP through the gateway: all servers together, one of them, and one of them by query (parity A8,
//! A11).

use insta::assert_snapshot;
use portunus_testkit::{agent::McpClient, mcp_servers::fixture_binary};
use serde_json::json;

use crate::fixture::{GatewayFixture, Setup, stdio};

#[tokio::test]
async fn all_servers_under_one_sign_in() {
    let fixture = GatewayFixture::start().await;
    let (_, browser, tokens) = fixture.connect("/mcp").await;
    let mcp = McpClient::connect(&browser, &fixture.at("/mcp"), &tokens.access).await;
    assert_snapshot!(mcp.tools().await.join(" "), @"dice_roll uuid_add uuid_big uuid_cancelled uuid_change_tools uuid_clock uuid_count uuid_crash uuid_echo uuid_environment uuid_error uuid_fail uuid_hang uuid_log uuid_noise uuid_offspring uuid_process uuid_slow uuid_update_resource");
    assert_eq!(mcp.call_text("uuid_add", json!({"a": 20, "b": 22})).await, "42");
    let rolled = mcp.call("dice_roll", json!({"sides": 6})).await;
    assert_eq!(rolled["result"]["isError"], false, "{rolled}");
    assert_snapshot!(mcp.call("dice_nothing", json!({})).await["error"], @r#"{"code":-32602,"message":"Unknown tool: dice_nothing"}"#);
    fixture.close().await;
}

#[tokio::test]
async fn one_server_by_its_path() {
    let fixture = GatewayFixture::start().await;
    let (_, browser, tokens) = fixture.connect("/mcp/uuid").await;
    let mcp = McpClient::connect(&browser, &fixture.at("/mcp/uuid"), &tokens.access).await;
    assert!(mcp.tools().await.contains(&"echo".to_owned()), "plain names");
    assert_eq!(
        mcp.call_text("echo", json!({"text": "as it is: ü\u{2028}"})).await,
        "as it is: ü\u{2028}"
    );
    fixture.close().await;
}

#[tokio::test]
async fn one_server_by_query() {
    let fixture = GatewayFixture::start().await;
    let (_, browser, tokens) = fixture.connect("/mcp").await;
    let mcp =
        McpClient::connect(&browser, &fixture.at("/mcp?server_name=uuid"), &tokens.access).await;
    assert_eq!(mcp.call_text("echo", json!({"text": "plain"})).await, "plain");
    let nobody =
        browser.send(mcp.message(&json!({})).at(&fixture.at("/mcp?server_name=nobody"))).await;
    assert_snapshot!(fixture.shown(&nobody), @r#"
    404 Not Found
    content-type: application/json

    {"error":"not_found","error_description":"server_name names no server of this gateway"}
    "#);
    fixture.close().await;
}

#[tokio::test]
async fn a_refreshed_token_goes_on_with_the_same_session() {
    let fixture = GatewayFixture::start().await;
    let (client, browser, tokens) = fixture.connect("/mcp/uuid").await;
    let mut mcp = McpClient::connect(&browser, &fixture.at("/mcp/uuid"), &tokens.access).await;
    mcp.token = client.tokens(client.refresh(tokens.refresh()).await).access;
    assert_eq!(mcp.call_text("add", json!({"a": 1, "b": 2})).await, "3");
    fixture.close().await;
}

#[tokio::test]
async fn a_session_outlives_a_restart_of_the_gateway() {
    let mut fixture = GatewayFixture::start().await;
    let (_, browser, tokens) = fixture.connect("/mcp").await;
    let mcp = McpClient::connect(&browser, &fixture.at("/mcp"), &tokens.access).await;
    assert_eq!(mcp.call_text("uuid_add", json!({"a": 1, "b": 2})).await, "3");
    fixture.stop().await;
    fixture.restart().await;
    assert_eq!(
        mcp.call_text("uuid_add", json!({"a": 20, "b": 22})).await,
        "42",
        "the client need not begin anew"
    );
    fixture.close().await;
}

#[tokio::test]
async fn a_tool_shows_its_face_among_all_servers() {
    let child = stdio("child", fixture_binary().to_str().unwrap(), &["--stdio", "--name", "child"]);
    let fixture = GatewayFixture::of(Setup { more_servers: vec![child], ..Setup::default() }).await;
    let (_, browser, tokens) = fixture.connect("/mcp").await;
    let mcp = McpClient::connect(&browser, &fixture.at("/mcp"), &tokens.access).await;
    let tools = mcp.request("tools/list", json!({})).await;
    for server in ["child", "uuid"] {
        let tools = tools["result"]["tools"].as_array().unwrap();
        let clock = tools.iter().find(|tool| tool["name"] == format!("{server}_clock")).unwrap();
        let uri = format!("ui://{server}/clock.html");
        assert_eq!(
            clock["_meta"],
            json!({"ui": {"resourceUri": uri}, "fixture": {"exact": 1.5}}),
            "as the server wrote it"
        );
        let read = mcp.request("resources/read", json!({ "uri": uri })).await;
        assert_eq!(
            read["result"]["contents"][0]["text"],
            format!("<title>The clock of {server}</title>"),
            "{read}"
        );
    }
    let again = McpClient::connect(&browser, &fixture.at("/mcp"), &tokens.access).await;
    assert_eq!(
        again.server["capabilities"]["extensions"]["io.modelcontextprotocol/ui"],
        json!({}),
        "{}",
        again.server
    );
    fixture.close().await;
}
