//! A new configuration while the gateway runs (F10): what changes does so at once, what does not
//! change notices nothing, and a configuration that cannot be taken changes nothing at all.

use std::{
    fs,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use futures::future::join_all;
use http::Method;
use portunus::{config::Names, gateway::Refused};
use portunus_core::{ids::ServerName, secret::SecretText};
use portunus_testkit::{
    agent::{Agent, McpClient, OAuthClient, Request},
    figures::Figures,
    mcp_servers::fixture_binary,
    redis::Server,
};
use serde_json::{Value, json};

use crate::fixture::{
    GatewayFixture, Setup,
    program::{PATIENCE, Program, until},
    stdio,
};

fn child(name: &str) -> portunus_mcp::spec::ServerSpec {
    stdio(name, fixture_binary().to_str().unwrap(), &["--stdio", "--name", name])
}

fn name(text: &str) -> ServerName {
    ServerName::parse(text).unwrap()
}

const RELOADS: usize = 100;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f10_a_hundred_new_configurations_under_load_cost_nobody_anything() {
    let mut fixture =
        GatewayFixture::of(Setup { more_servers: vec![child("child")], ..Setup::default() }).await;
    let (_, browser, tokens) = fixture.connect("/mcp").await;
    let mcp = McpClient::connect(&browser, &fixture.at("/mcp"), &tokens.access).await;
    let (_, other_browser, other_tokens) = fixture.connect("/mcp/child").await;
    let one =
        McpClient::connect(&other_browser, &fixture.at("/mcp/child"), &other_tokens.access).await;
    let process = one.call_text("process", json!({})).await;
    // A stream of a server that stays as it is: open from the first to the last.
    let stream = Request::get(&one.url)
        .without_cookies()
        .bearer(&one.token)
        .header("accept", "text/event-stream");
    let stream = stream.header("mcp-session-id", &one.session);
    let stream = tokio::spawn({
        let browser = other_browser.clone();
        async move { browser.send(stream).await }
    });
    let (mcp, calls, enough) =
        (Arc::new(mcp), Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
    let (broken, wrong) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let load: Vec<_> = (0..8)
        .map(|n| {
            let (mcp, calls, enough) = (Arc::clone(&mcp), Arc::clone(&calls), Arc::clone(&enough));
            let (broken, wrong) = (Arc::clone(&broken), Arc::clone(&wrong));
            tokio::spawn(async move {
                let tool = if n % 2 == 0 { "uuid_echo" } else { "child_echo" };
                let params = json!({"name": tool, "arguments": {"text": "still here"}});
                // bounded: by the reloads below, each of which waits in time for calls to be made.
                while !enough.load(Ordering::SeqCst) {
                    let id = format!("{n}-{}", calls.fetch_add(1, Ordering::SeqCst));
                    let call = json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params});
                    let answer = mcp.post(&call).await;
                    broken.fetch_add(usize::from(answer.status.is_server_error()), Ordering::SeqCst);
                    let is_right = answer.status == 200 && answer.body.contains("still here");
                    wrong.fetch_add(usize::from(!is_right), Ordering::SeqCst);
                }
            })
        })
        .collect();
    until(|| calls.load(Ordering::SeqCst) > 16).await;
    let (began, before) = (Instant::now(), calls.load(Ordering::SeqCst));
    for n in 0..RELOADS {
        if n % 2 == 0 {
            fixture.config.servers.insert(0, child("extra"));
            fixture.config.lifetimes.access_token += Duration::from_secs(1);
        } else {
            fixture.config.servers.remove(0);
        }
        fixture.reload().await.unwrap();
        let asked = calls.load(Ordering::SeqCst);
        until(|| calls.load(Ordering::SeqCst) > asked + 8).await;
    }
    let (served, took) = (calls.load(Ordering::SeqCst) - before, began.elapsed());
    enough.store(true, Ordering::SeqCst);
    for done in join_all(load).await {
        done.unwrap();
    }
    let rate = served as u128 * 1000 / took.as_millis().max(1);
    Figures::of("F10", "sqlite", "new configurations under load")
        .at_least("reloads", RELOADS, 100)
        .at_least("calls", served, 8 * RELOADS)
        .and("calls a second", rate)
        .exactly("answers 5xx", broken.load(Ordering::SeqCst), 0)
        .exactly("calls that failed", wrong.load(Ordering::SeqCst), 0)
        .exactly("streams dropped", usize::from(stream.is_finished()), 0)
        .report();
    assert_eq!(one.call_text("process", json!({})).await, process, "the same child");
    // What cannot be taken changes nothing.
    fixture.config.servers.insert(0, child("extra"));
    let listen =
        std::mem::replace(&mut fixture.config.listen, SocketAddr::from(([127, 0, 0, 1], 1)));
    assert_eq!(fixture.reload().await, Err(Refused::NeedsRestart(vec!["listen".to_owned()])));
    assert!(!mcp.tools().await.iter().any(|tool| tool.starts_with("extra_")));
    fixture.config.listen = listen;
    let changes = fixture.reload().await.unwrap();
    assert_eq!(changes.new_servers, [name("extra")]);
    assert!(mcp.tools().await.contains(&"extra_echo".to_owned()));
    let ended = Request::new(Method::DELETE, &one.url).without_cookies().bearer(&one.token);
    other_browser.send(ended.header("mcp-session-id", &one.session)).await.expect(204);
    stream.await.unwrap().expect(200);
    fixture.close().await;
}

#[tokio::test]
async fn a_server_that_is_taken_away_is_gone_with_its_resource() {
    let mut fixture =
        GatewayFixture::of(Setup { more_servers: vec![child("child")], ..Setup::default() }).await;
    let (_, browser, tokens) = fixture.connect("/mcp/child").await;
    let one = McpClient::connect(&browser, &fixture.at("/mcp/child"), &tokens.access).await;
    one.call_text("process", json!({})).await;
    fixture.config.servers.retain(|server| server.name != name("child"));
    assert_eq!(fixture.reload().await.unwrap().removed_servers, [name("child")]);
    let status = one.post(&json!({"jsonrpc": "2.0", "id": 5, "method": "ping"})).await.status;
    assert!(status == 401 || status == 404, "{status}");
    let metadata = |path: &str| Request::get(&fixture.at(path));
    browser.send(metadata("/.well-known/oauth-protected-resource/mcp/child")).await.expect(404);
    browser.send(metadata("/.well-known/oauth-protected-resource/mcp/uuid")).await.expect(200);
    fixture.close().await;
}

#[tokio::test]
async fn a_sign_in_under_way_goes_on_across_new_secrets_and_old_records_open() {
    let mut fixture = GatewayFixture::start().await;
    let (client, browser) = (fixture.client("/mcp/uuid").await, fixture.browser());
    let authorization = client.authorization();
    // The consent page was served under the old secret, and is answered under the new one.
    let consent = client.begin(&browser, &authorization).await.page().expect(200);
    let old = fixture.config.auth_secrets.clone();
    fixture
        .config
        .auth_secrets
        .insert(0, SecretText::new("another-secret-of-one-fixture-long-enough-00"));
    assert_eq!(fixture.reload().await.unwrap().settings, ["auth_secret"]);
    let returned = consent.form("/auth/consent").submit([("decision", "allow")]).await.returned();
    let tokens = client.tokens(client.redeem(&authorization, &returned.code()).await);
    let mcp = McpClient::connect(&browser, &fixture.at("/mcp/uuid"), &tokens.access).await;
    assert_eq!(mcp.call_text("echo", json!({"text": "in"})).await, "in");
    // Everything is sealed anew by now: the old one can go.
    fixture.config.auth_secrets.truncate(1);
    fixture.reload().await.unwrap();
    assert!(
        browser.open(&fixture.at("/")).await.page().expect(200).text().contains("Sign out"),
        "the login opens"
    );
    fixture.config.auth_secrets = old;
    assert_eq!(fixture.reload().await, Err(Refused::SecretLost));
    fixture.config.auth_secrets =
        vec![SecretText::new("another-secret-of-one-fixture-long-enough-00")];
    fixture.stop().await;
    fixture.restart().await;
    assert!(
        browser.open(&fixture.at("/")).await.page().expect(200).text().contains("Sign out"),
        "after a restart too"
    );
    fixture.close().await;
}

async fn tools(program: &Program, browser: &Agent, token: &str) -> Vec<String> {
    let mcp = McpClient::connect(browser, &program.at("/mcp"), token).await;
    mcp.tools().await
}

fn write(program: &Program, servers: &Value) {
    fs::write(program.folder.path().join("mcp.json"), json!({"mcpServers": servers}).to_string())
        .unwrap();
}

#[tokio::test]
async fn files_that_change_are_followed_and_mistakes_in_them_are_not() {
    let program = Program::start(&[]).await;
    let browser = Agent::new();
    let client = OAuthClient::register(&browser, &program.at("/mcp")).await;
    let token = client.connect(&browser).await.access;
    let has = |tools: Vec<String>, server: &str| tools.iter().any(|tool| tool.starts_with(server));
    let uuid = json!({"url": program.server.url().as_str()});
    write(&program, &json!({"uuid": uuid, "second": uuid}));
    until(|| program.log().contains("the configuration is reloaded")).await;
    assert!(has(tools(&program, &browser, &token).await, "second_"));
    // Half a file, as when an editor is still writing.
    fs::write(program.folder.path().join("mcp.json"), "{\"mcpServers\": {\"uuid\": ").unwrap();
    until(|| program.log().contains("the configuration is not reloaded")).await;
    assert!(program.log().contains("mcp.json:1"), "the mistake is named: {}", program.log());
    assert!(has(tools(&program, &browser, &token).await, "second_"), "and nothing changed");
    write(&program, &json!({"third": uuid}));
    until(|| program.log().matches("the configuration is reloaded").count() == 2).await;
    let tools = tools(&program, &browser, &token).await;
    assert!(has(tools.clone(), "third_") && !has(tools, "uuid_"));
    // A file that was not there, and a signal in place of waiting.
    fs::write(program.folder.path().join("config.yaml"), "names: plain\n").unwrap();
    program.signal("HUP");
    until(|| program.log().matches("the configuration is reloaded").count() == 3).await;
    assert!(program.log().contains("settings: names"), "{}", program.log());
    fs::write(program.folder.path().join("config.yaml"), "names: plain\nlog:\n  format: text\n")
        .unwrap();
    program.signal("HUP");
    until(|| {
        program
            .log()
            .contains("log.format changed, which a running gateway cannot take over: restart it")
    })
    .await;
    program.signal("INT");
    assert_eq!(program.end().await.code(), Some(0));
}

#[tokio::test]
async fn other_gateways_are_told_of_a_new_configuration() {
    let redis = Server::start(&[]);
    let mut fixture =
        GatewayFixture::over(Some(&redis), Setup { nodes: 2, ..Setup::default() }).await;
    let mut elsewhere = fixture.new_elsewhere(1);
    // A node hears what is announced once it has compared its revision with the store's for the
    // first time: when that is, only hearing tells.
    let mut told = false;
    for round in 0..100 {
        fixture.config.names = if round % 2 == 0 { Names::Plain } else { Names::Prefixed };
        assert_eq!(fixture.reload().await.unwrap().settings, ["names"]);
        told = tokio::time::timeout(Duration::from_millis(200), elsewhere.changed()).await.is_ok();
        if told {
            break;
        }
    }
    assert!(told, "the other node is told");
    let store = Arc::clone(&fixture.stores().invalidations);
    let before = store.revision().await.unwrap();
    fixture.reload().await.unwrap();
    assert_eq!(store.revision().await.unwrap(), before, "nothing changed, so nothing is announced");
    fixture.config.lifetimes.access_token += Duration::from_secs(1);
    fixture.reload().await.unwrap();
    assert_ne!(store.revision().await.unwrap(), before);
    tokio::time::timeout(PATIENCE, elsewhere.changed())
        .await
        .expect("from then on the node hears of each")
        .unwrap();
    fixture.close().await;
}

#[tokio::test]
async fn a_login_that_cannot_be_read_is_none() {
    let fixture = GatewayFixture::start().await;
    let browser = fixture.browser();
    fixture.sign_in(&browser).await;
    let records = rusqlite::Connection::open(fixture.database()).unwrap();
    assert_eq!(records.execute("UPDATE logins SET record = x'00'", []).unwrap(), 1);
    let page = browser.open(&fixture.at("/")).await.page().expect(200);
    assert!(!page.text().contains("Sign out"), "{page:?}");
    fixture.sign_in(&browser).await;
    assert!(fixture.log.text().contains("a login cannot be read"));
    fixture.close().await;
}
