//! `portunus disable` beside a gateway that runs, and what is disabled at one of several nodes.
//! What it comes to on each route is in `tests/http/disabled.rs`. Gateways of these tests trust
//! what they looked up for an hour, so that it is not time that tells them.

use std::time::Duration;

use portunus::{config::StoreConfig, disabled::change};
use portunus_core::{
    Clock as _,
    disabled::{Disableable, DisabledRecord},
    ids::ServerName,
};
use portunus_store::redis::{RedisAddress, RedisOptions};
use portunus_testkit::{
    agent::{Agent, McpClient, Request, Tokens},
    redis::Server,
    wait::eventually,
};
use serde_json::{Value, json};

use crate::fixture::{GatewayFixture, Setup, program::Program};

/// For what comes at once, unless it never does.
const PATIENCE: Duration = Duration::from_secs(60);

async fn listed(program: &Program) -> Vec<Value> {
    let text = program.said(&["disabled", "--json"], 0).await;
    serde_json::from_str::<Value>(&text).unwrap().as_array().unwrap().clone()
}

async fn tools(mcp: &McpClient) -> Vec<String> {
    mcp.tools().await
}

#[tokio::test]
async fn a_person_is_disabled_by_the_command_while_the_gateway_runs_and_enabled_again() {
    let program = Program::start(&[]).await;
    let (browser, mcp) = program.connect().await;
    let is_recorded = async || !program.recorded(&["--event", "signed_in"]).await.is_empty();
    eventually("the sign-in is recorded", is_recorded).await;
    let signed_in = program.recorded(&["--event", "signed_in"]).await;
    let (user, email, subject) = (
        signed_in[0]["user"].as_str().unwrap(),
        signed_in[0]["email"].as_str().unwrap(),
        signed_in[0]["subject"].as_str().unwrap(),
    );
    let told = program
        .said(&["disable", "person", &email.to_uppercase(), "--reason", "left the company"], 0)
        .await;
    assert!(told.contains(&format!("person {user}  {email}")), "{told}");
    assert!(told.contains("1 grant revoked, 1 login ended"), "{told}");
    let ping = json!({"jsonrpc": "2.0", "id": 1, "method": "ping"});
    eventually("the gateway refuses them", async || mcp.post(&ping).await.status == 401).await;
    let page = browser.open(&program.at("/auth/signin")).await.page();
    assert_eq!(page.status, 403);
    let all = listed(&program).await;
    assert_eq!(all.len(), 1);
    assert_eq!(
        (&all[0]["kind"], &all[0]["id"], &all[0]["reason"]),
        (&json!("person"), &json!(user), &json!("left the company"))
    );
    assert!(program.said(&["disabled"], 0).await.contains("  reason  left the company\n"));
    let again = program.said(&["disable", "person", subject, "--provider", "okta"], 0).await;
    assert!(again.contains("it was disabled before"), "{again}");
    program.said(&["enable", "person", user], 0).await;
    assert!(program.said(&["enable", "person", user], 0).await.contains("it was not disabled"));
    assert_eq!(listed(&program).await, Vec::<Value>::new());
    eventually("they may sign in", async || {
        browser.open(&program.at("/auth/signin")).await.page().status == 200
    })
    .await;
    assert_eq!(mcp.post(&ping).await.status, 401, "what was ended does not come back");

    let disabled = program.recorded(&["--event", "disabled"]).await;
    let first = disabled.iter().find(|record| record["again"] == json!(false)).unwrap();
    let counts = ["grants", "logins", "tasks"].map(|name| first[name].as_u64().unwrap());
    assert_eq!((disabled.len(), counts), (2, [1, 1, 0]), "{disabled:?}");
    assert_eq!((&first["what"], &first["kind"]), (&json!(user), &json!("person")));
    assert!(first["account"].as_str().unwrap().starts_with("uid "), "{first}");
    assert_eq!(program.recorded(&["--event", "enabled"]).await.len(), 1);
    eventually("the sign-in that was refused is recorded", async || {
        program
            .recorded(&["--event", "refused"])
            .await
            .iter()
            .any(|record| record["reason"] == json!("disabled"))
    })
    .await;
    program.said(&["audit", "verify"], 0).await;
    program.said(&["store", "check"], 0).await;
    program.signal("TERM");
    assert!(program.end().await.success());
}

#[tokio::test]
async fn servers_tools_and_clients_are_named_as_people_name_them() {
    let program = Program::start(&[]).await;
    let (_browser, mcp) = program.connect().await;
    assert!(tools(&mcp).await.contains(&"uuid_add".to_owned()));
    let told = program.said(&["disable", "tool", "uuid_add"], 0).await;
    assert!(told.starts_with("tool uuid/add\n") && !told.contains("note:"), "{told}");
    let told = program.said(&["disable", "tool", "uuid/no_such"], 0).await;
    assert!(told.contains("note: no tool of this name was seen"), "{told}");
    eventually("the tool is gone", async || !tools(&mcp).await.contains(&"uuid_add".to_owned()))
        .await;
    program.said(&["disable", "server", "uuid"], 0).await;
    eventually("the server is gone", async || tools(&mcp).await.is_empty()).await;
    program.said(&["enable", "server", "uuid"], 0).await;
    program.said(&["enable", "tool", "uuid/add"], 0).await;
    eventually("both are back", async || tools(&mcp).await.contains(&"uuid_add".to_owned())).await;

    let is_recorded =
        async || !program.recorded(&["--event", "client_registered"]).await.is_empty();
    eventually("the registration is recorded", is_recorded).await;
    let client = program.recorded(&["--event", "client_registered"]).await[0]["client"].clone();
    let (client, url) = (client.as_str().unwrap(), "https://app.example/client.json");
    for id in [client, url] {
        program.said(&["disable", "client", id, "--reason", "not trusted"], 0).await;
    }
    let ping = json!({"jsonrpc": "2.0", "id": 1, "method": "ping"});
    eventually("the client is refused", async || mcp.post(&ping).await.status == 401).await;
    let someone =
        ["person", "--issuer", "https://acme.okta.example", "--subject", "00u-never-came"];
    program.said(&[&["disable"], &someone[..]].concat(), 0).await;
    let kinds: Vec<_> =
        listed(&program).await.iter().map(|record| record["kind"].clone()).collect();
    assert_eq!(kinds, ["person", "client", "client", "tool"], "the newest first");
    program.said(&[&["enable"], &someone[..]].concat(), 0).await;

    for (arguments, hint) in [
        (&["disable", "person", "nobody@acme.example"][..], "--issuer and --subject"),
        (&["disable", "person", "alice", "--provider", "google"], "by the provider google"),
        (&["disable", "client", "no such"], "portunus clients list"),
        (&["disable", "server", "uuid2"], "There are: uuid"),
        (&["disable", "tool", "uuid2/add"], "there is no server uuid2"),
        (&["disable", "tool", "roll"], "server/tool"),
        (&["disable", "server", "uuid", "--reason", "two\nlines"], "in one line"),
        (&["enable", "server", "uuid2"], "There are: uuid"),
    ] {
        let refused = program.said(arguments, 1).await;
        assert!(refused.contains(hint), "{arguments:?}: {refused}");
    }
    assert!(program.said(&["disable", "person"], 2).await.contains("PERSON"));
    let help = program.said(&["disable", "--help"], 0).await;
    assert!(help.contains("portunus disable person alice@acme.com --reason"), "{help}");
    program.signal("TERM");
    assert!(program.end().await.success());
}

async fn nodes_on(redis: &Server, nodes: usize) -> GatewayFixture {
    let address = RedisAddress::parse(&redis.address()).unwrap();
    let store = StoreConfig::Redis(RedisOptions::new(address));
    GatewayFixture::of(Setup { nodes, store: Some(store), ..Setup::default() }).await
}

/// At the first node, as its own pages would.
async fn disable(fixture: &GatewayFixture, what: Disableable) {
    let (reason, at) = (None, fixture.clock.now());
    let record = DisabledRecord { what, name: None, reason, by: "uid 0".to_owned(), at };
    change::disable(&*fixture.stores().disabled, record, at).await.unwrap();
}

async fn status(fixture: &GatewayFixture, url: &str, tokens: &Tokens) -> u16 {
    let request = Request::get(url).without_cookies().bearer(&tokens.access);
    fixture.browser().send(request).await.status.as_u16()
}

async fn until(fixture: &GatewayFixture, url: &str, tokens: &Tokens, expected: u16) {
    eventually(&format!("{url} says {expected}"), async || {
        status(fixture, url, tokens).await == expected
    })
    .await;
}

async fn listening(
    fixture: &GatewayFixture,
    node: usize,
    tokens: &Tokens,
) -> (McpClient, tokio::task::JoinHandle<()>) {
    let browser: Agent = fixture.browser();
    let mcp = McpClient::connect(&browser, &fixture.at_node(node, "/mcp"), &tokens.access).await;
    let listen = Request::get(&mcp.url)
        .without_cookies()
        .bearer(&tokens.access)
        .header("accept", "text/event-stream")
        .header("mcp-session-id", &mcp.session);
    let listening = tokio::spawn(async move { drop(browser.try_send(listen).await) });
    // Nothing comes on it that says that it is open.
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(!listening.is_finished());
    (mcp, listening)
}

/// Whom it concerns is refused at every node, streams there end, and a node that starts afterwards
/// refuses from its first request; others are served as before.
async fn disabled_at_one_counts_at_all(mut fixture: GatewayFixture) {
    let (_, _, tokens) = fixture.connect("/mcp").await;
    fixture.okta.sign_in_as("bob");
    let (_, _, others) = fixture.connect("/mcp").await;
    let all: Vec<String> = [1, 2].map(|node| fixture.at_node(node, "/tools")).into();
    for url in &all {
        until(&fixture, url, &tokens, 200).await;
        until(&fixture, url, &others, 200).await;
    }
    let (_mcp, stream) = listening(&fixture, 1, &tokens).await;
    let (mcp, of_another) = listening(&fixture, 2, &others).await;
    disable(&fixture, Disableable::Person(fixture.user("alice"))).await;
    for url in &all {
        until(&fixture, url, &tokens, 401).await;
        assert_eq!(status(&fixture, url, &others).await, 200);
    }
    tokio::time::timeout(PATIENCE, stream).await.expect("the stream ends").unwrap();
    assert!(!of_another.is_finished());
    assert!(mcp.tools().await.iter().any(|tool| tool.starts_with("uuid_")));
    disable(&fixture, Disableable::Server(ServerName::parse("uuid").unwrap())).await;
    eventually("the server is gone at another node", async || {
        !mcp.tools().await.iter().any(|tool| tool.starts_with("uuid_"))
    })
    .await;
    fixture.stop_node(2).await;
    fixture.add_node_ahead(0).await;
    let fresh = fixture.at_node(3, "/tools");
    assert_eq!(status(&fixture, &fresh, &tokens).await, 401);
    let page = fixture.browser().send(Request::get(&fresh).bearer(&others.access)).await;
    assert!(page.status == 200 && !page.text().contains("uuid_"), "{page:?}");
    fixture.close().await;
    drop(of_another);
}

#[tokio::test]
async fn t19_what_is_disabled_at_one_node_is_disabled_at_all_of_them() {
    let redis = Server::start(&[]);
    disabled_at_one_counts_at_all(nodes_on(&redis, 3).await).await;
}

#[tokio::test]
async fn t19_what_is_disabled_at_one_node_is_disabled_at_all_though_no_message_comes_through() {
    let redis = Server::start(&[]);
    // No connection may publish or subscribe.
    let () = redis.ask(&["ACL", "SETUSER", "default", "resetchannels"]);
    disabled_at_one_counts_at_all(nodes_on(&redis, 3).await).await;
}
