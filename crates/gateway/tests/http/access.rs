//! Access rules: who sees and calls what, on every route, with every grant, at every node. What the
//! rules come to is tested in `portunus_core::access`; what scopes allow beside is in
//! [`super::scopes`].

use std::{collections::BTreeSet, sync::Arc};

use portunus::config::{ClientsConfig, ProxyRoute};
use portunus_core::{
    Timestamp,
    access::{AccessRule, Effect, Mode, Place, Policy, PolicyFile, What, When, Who},
    client::{Client, ClientAuthMethod, ClientSource, GrantType},
    ids::ClientId,
    oauth::scopes::Pattern,
    redirect::RedirectUri,
    secret::TokenHash,
};
use portunus_testkit::{
    agent::{Agent, McpClient, OAuthClient, Page, Request},
    mcp_servers::FixtureServer,
};
use serde_json::{Value, json};

use crate::fixture::{GatewayFixture, Setup};

const SECRET: &str = "the secret that the robot and the gateway were told";
const MODERN: &str = "2026-07-28";

pub(crate) fn patterns(texts: &[&str]) -> Vec<Pattern> {
    texts.iter().map(|text| Pattern::parse(text).unwrap()).collect()
}

pub(crate) fn group(name: &str) -> Who {
    Who { groups: vec![name.to_owned()], ..Who::default() }
}

pub(crate) fn server(name: &str) -> What {
    What { servers: patterns(&[name]), ..What::default() }
}

pub(crate) fn rule(effect: Effect, who: Who, what: What) -> AccessRule {
    let place = Place { file: "config.yaml".to_owned(), line: 1 };
    AccessRule {
        name: "a rule".to_owned(),
        place,
        effect,
        mode: Mode::Enforce,
        who,
        what,
        when: When::default(),
    }
}

pub(crate) fn allow(who: Who, what: What) -> AccessRule {
    rule(Effect::Allow, who, what)
}

pub(crate) fn policy(rules: Vec<AccessRule>) -> Arc<Policy> {
    Arc::new(Policy::new(rules, Vec::new()).unwrap())
}

/// Engineers have a part of `uuid` and a proxied path; sales what only reads in `dice`.
pub(crate) fn by_groups() -> Arc<Policy> {
    let part = What {
        tools: patterns(&["echo", "ad*"]),
        prompts: patterns(&["plain"]),
        resources: patterns(&["fixture://uuid/g*"]),
        ..server("uuid")
    };
    policy(vec![
        allow(group("engineering"), part),
        allow(group("engineering"), server("/mcp/legacy/")),
        allow(group("sales"), What { read_only: Some(true), ..server("*") }),
    ])
}

pub(crate) async fn fixture(access: Arc<Policy>) -> (GatewayFixture, FixtureServer) {
    let legacy = FixtureServer::start().await;
    let proxies = vec![ProxyRoute::new("/mcp/legacy/", legacy.url().join("/").unwrap())];
    (GatewayFixture::of(Setup { proxies, access, ..Setup::default() }).await, legacy)
}

/// A person who has signed in, with a client and its token for the resource at `path`.
pub(crate) async fn person(fixture: &GatewayFixture, name: &str, path: &str) -> (Agent, String) {
    fixture.okta.sign_in_as(name);
    let (_, browser, tokens) = fixture.connect(path).await;
    (browser, tokens.access)
}

fn request(method: &str, params: &Value) -> Value {
    json!({"jsonrpc": "2.0", "id": 7, "method": method, "params": params})
}

async fn names(mcp: &McpClient, method: &str, list: &str, member: &str) -> Vec<String> {
    let answer = mcp.request(method, json!({})).await;
    let items = answer["result"][list].as_array().unwrap_or_else(|| panic!("{answer}")).iter();
    let mut names: Vec<_> = items.map(|item| item[member].as_str().unwrap().to_owned()).collect();
    names.sort();
    names
}

/// A request of the modern era.
pub(crate) async fn modern(
    browser: &Agent,
    url: &str,
    token: &str,
    method: &str,
    mut params: Value,
) -> Page {
    params["_meta"] = json!({"io.modelcontextprotocol/protocolVersion": MODERN,
        "io.modelcontextprotocol/clientCapabilities": {}});
    let named = params["name"].as_str().or(params["uri"].as_str()).map(ToOwned::to_owned);
    let request = Request::json(url, &request(method, &params))
        .without_cookies()
        .bearer(token)
        .header("accept", "application/json, text/event-stream")
        .header("mcp-protocol-version", MODERN)
        .header("mcp-method", method);
    let request = match named {
        Some(name) => request.header("mcp-name", &name),
        None => request,
    };
    browser.send(request).await
}

/// The same refusal as of something that is not there.
pub(crate) fn assert_absent(answer: &Value, what: &str) {
    let code = answer["error"]["code"].as_i64();
    assert!(matches!(code, Some(-32602 | -32002 | -32601)), "{what}: {answer}");
    let text = answer["error"]["message"].as_str().unwrap().to_lowercase();
    assert!(!text.contains("rule") && !text.contains("granted"), "{what}: {text}");
}

#[tokio::test]
async fn t32_people_see_and_call_what_their_groups_may() {
    let (fixture, _legacy) = fixture(by_groups()).await;
    let (browser, token) = person(&fixture, "alice", "/mcp").await;
    let (own, own_token) = person(&fixture, "alice", "/mcp/uuid").await;
    let views = [
        (fixture.at("/mcp"), &browser, &token, "uuid_"),
        (fixture.at("/mcp?server_name=uuid"), &browser, &token, ""),
        (fixture.at("/mcp/uuid"), &own, &own_token, ""),
    ];
    for (url, browser, token, prefix) in &views {
        let mcp = McpClient::connect(browser, url, token).await;
        assert_eq!(mcp.tools().await, [format!("{prefix}add"), format!("{prefix}echo")], "{url}");
        assert_eq!(
            names(&mcp, "prompts/list", "prompts", "name").await,
            [format!("{prefix}plain")]
        );
        assert_eq!(
            names(&mcp, "resources/list", "resources", "uri").await,
            ["fixture://uuid/greeting"]
        );
        assert!(
            names(&mcp, "resources/templates/list", "resourceTemplates", "uriTemplate")
                .await
                .is_empty()
        );
        let add = format!("{prefix}add");
        assert_eq!(mcp.call_text(&add, json!({"a": 1, "b": 2})).await, "3");
        // Once to have every list looked up that there is.
        refuse_all(&mcp, browser, token, prefix).await;
        let before = fixture.uuid.seen().len();
        refuse_all(&mcp, browser, token, prefix).await;
        assert_eq!(fixture.uuid.seen().len(), before, "{url}: nothing reached the server");
        let listed = modern(browser, url, token, "tools/list", json!({})).await.expect(200).json();
        let mut listed: Vec<_> = listed["result"]["tools"]
            .as_array()
            .unwrap_or_else(|| panic!("{listed}"))
            .iter()
            .map(|tool| tool["name"].as_str().unwrap().to_owned())
            .collect();
        listed.sort();
        assert_eq!(listed, [format!("{prefix}add"), format!("{prefix}echo")], "{url}");
        let say = json!({"name": format!("{prefix}echo"), "arguments": {"text": "modern"}});
        let said = modern(browser, url, token, "tools/call", say).await.expect(200);
        assert!(said.body.contains("modern"), "{said:?}");
    }
    // On one server, what no rule speaks of is for those who may use all of it.
    let mcp = McpClient::connect(&own, &fixture.at("/mcp/uuid"), &own_token).await;
    let before = fixture.uuid.seen().len();
    assert_absent(&mcp.request("extension/anything", json!({})).await, "extension/anything");
    assert_eq!(fixture.uuid.seen().len(), before, "the server does not get to refuse it itself");
    fixture.close().await;
}

/// In both eras.
async fn refuse_all(mcp: &McpClient, browser: &Agent, token: &str, prefix: &str) {
    for (method, params) in forbidden(prefix) {
        let answer = mcp.request(method, params.clone()).await;
        assert_absent(&answer, &format!("{} {method} {params}", mcp.url));
        // A modern client does not subscribe by a request.
        if !method.ends_with("subscribe") {
            let page = modern(browser, &mcp.url, token, method, params.clone()).await;
            assert_absent(&page.json(), &format!("modern {} {method} {params}", mcp.url));
        }
    }
}

/// Things of the server `uuid` that its rule does not name, and of another server.
fn forbidden(prefix: &str) -> Vec<(&'static str, Value)> {
    let named = |name: &str| json!({"name": format!("{prefix}{name}"), "arguments": {}});
    let template = "fixture://uuid/items/{id}";
    let argument = json!({"name": "id", "value": "1"});
    vec![
        ("tools/call", named("crash")),
        ("tools/call", named("absent")),
        ("tools/call", json!({"name": "dice_roll", "arguments": {}})),
        ("prompts/get", named("greet")),
        ("resources/read", json!({"uri": "fixture://uuid/numbers"})),
        ("resources/read", json!({"uri": "fixture://uuid/items/1"})),
        ("resources/read", json!({"uri": "fixture://uuid/g/../numbers"})),
        ("resources/subscribe", json!({"uri": "fixture://uuid/numbers"})),
        ("resources/unsubscribe", json!({"uri": "fixture://uuid/numbers"})),
        (
            "completion/complete",
            json!({"ref": {"type": "ref/prompt", "name": format!("{prefix}greet")}, "argument": argument}),
        ),
        (
            "completion/complete",
            json!({"ref": {"type": "ref/resource", "uri": template}, "argument": argument}),
        ),
    ]
}

#[tokio::test]
async fn t32_a_server_that_rules_hide_is_not_there_on_any_route() {
    let (fixture, legacy) = fixture(by_groups()).await;
    let ping = request("ping", &json!({}));
    for (name, hidden, shown) in [("alice", "dice", "uuid_add"), ("bob", "missing", "dice_roll")] {
        let (browser, token) = person(&fixture, name, "/mcp").await;
        let send = async |path: &str, token: &str| {
            let request = Request::json(&fixture.at(path), &ping)
                .without_cookies()
                .header("accept", "application/json, text/event-stream")
                .bearer(token);
            browser.send(request).await
        };
        let absent = send("/mcp?server_name=nobody", &token).await.expect(404);
        let refused = send(&format!("/mcp?server_name={hidden}"), &token).await.expect(404);
        assert_eq!(refused.body, absent.body, "{name}");
        // Its lists: by token, by login, and on the page.
        let tools = Request::get(&fixture.at("/tools"));
        let by_login = browser.send(tools.clone()).await.expect(200).json();
        let by_token = tools.without_cookies().bearer(&token);
        let by_token = browser.send(by_token).await.expect(200).json();
        assert_eq!(by_login, by_token, "{name}");
        let listed: BTreeSet<_> = by_token["tools"]
            .as_array()
            .unwrap()
            .iter()
            .map(|tool| tool["name"].as_str().unwrap().to_owned())
            .collect();
        assert!(listed.contains(shown), "{name}: {listed:?}");
        let mcp = McpClient::connect(&browser, &fixture.at("/mcp"), &token).await;
        assert_eq!(listed, mcp.tools().await.into_iter().collect(), "{name}");
        let page = browser.open(&fixture.at("/")).await.page().expect(200);
        let (has_dice, has_legacy) = (
            page.body.contains(&fixture.at("/mcp/dice")),
            page.body.contains(&fixture.at("/mcp/legacy/")),
        );
        assert_eq!((has_dice, has_legacy), (name == "bob", name == "alice"), "{name}");
        // A token for its own resource opens nothing either, nor does one for the proxied path.
        for path in ["/mcp/dice", "/mcp/legacy/mcp"] {
            let (_, own) = person(&fixture, name, path).await;
            let may = if path == "/mcp/dice" { name == "bob" } else { name == "alice" };
            let before = legacy.seen().len();
            let answer = send(path, &own).await;
            assert_eq!(answer.status != 404, may, "{name} {path} {answer:?}");
            if !may {
                assert_eq!(answer.error(), "not_found", "{name} {path}");
                assert_eq!(legacy.seen().len(), before, "nothing was forwarded");
            }
        }
    }
    fixture.close().await;
}

/// `read_only` is looked up before a call too, where the client never listed anything.
#[tokio::test]
async fn t32_tools_that_only_read_can_be_called_without_being_listed() {
    let readers =
        policy(vec![allow(Who::default(), What { read_only: Some(true), ..server("*") })]);
    let (fixture, _legacy) = fixture(readers).await;
    for (path, tool) in [("/mcp/dice", "roll"), ("/mcp", "dice_roll")] {
        let (browser, token) = person(&fixture, "alice", path).await;
        let mcp = McpClient::connect(&browser, &fixture.at(path), &token).await;
        let rolled = mcp.call(tool, json!({})).await;
        assert_eq!(rolled["result"]["isError"], false, "{rolled}");
    }
    let (browser, token) = person(&fixture, "alice", "/mcp/uuid").await;
    let mcp = McpClient::connect(&browser, &fixture.at("/mcp/uuid"), &token).await;
    assert_absent(&mcp.call("echo", json!({"text": "x"})).await, "a tool that does not say so");
    assert!(mcp.tools().await.is_empty());
    fixture.close().await;
}

#[tokio::test]
async fn t32_new_rules_hold_from_the_next_request_on() {
    let (mut fixture, _legacy) = fixture(Arc::default()).await;
    let (browser, token) = person(&fixture, "alice", "/mcp").await;
    let mcp = McpClient::connect(&browser, &fixture.at("/mcp"), &token).await;
    let add = async || mcp.call("uuid_add", json!({"a": 1, "b": 2})).await;
    assert!(add().await["result"].is_object(), "without rules, everything is allowed");
    for _ in 0..2 {
        fixture.config.access = policy(vec![allow(group("sales"), server("uuid"))]);
        let changes = fixture.reload().await.unwrap();
        assert_eq!(changes.settings, ["access"]);
        assert_absent(&add().await, "after the reload");
        assert!(mcp.tools().await.is_empty());
        fixture.config.access = policy(vec![allow(group("engineering"), server("uuid"))]);
        fixture.reload().await.unwrap();
        assert!(add().await["result"].is_object());
        assert!(mcp.tools().await.iter().all(|tool| tool.starts_with("uuid_")));
    }
    // A policy file beside, and a rule that denies.
    let file = PolicyFile {
        path: "access.cedar".to_owned(),
        text: "forbid (principal, action == Action::\"callTool\", resource) when { resource.name == \"add\" };"
            .to_owned(),
    };
    let rules = vec![allow(group("engineering"), server("uuid"))];
    fixture.config.access = Arc::new(Policy::new(rules, vec![file]).unwrap());
    fixture.reload().await.unwrap();
    assert_absent(&add().await, "denied by the file");
    assert_eq!(mcp.call_text("uuid_echo", json!({"text": "still"})).await, "still");
    fixture.close().await;
}

/// A client that acts for itself is judged by the same rules (threat 24).
#[tokio::test]
async fn t24_a_client_that_acts_for_itself_needs_a_rule_too() {
    let robot = Client {
        source: ClientSource::Configured,
        redirect_uris: vec![RedirectUri::parse("https://robot.example/cb").unwrap()],
        auth_method: ClientAuthMethod::ClientSecretPost,
        secret: Some(TokenHash::of(SECRET)),
        grant_types: vec![GrantType::ClientCredentials],
        groups: vec!["robots".to_owned()],
        ..Client::new(ClientId::from_text("robot"), Timestamp::from_secs(0))
    };
    let clients = ClientsConfig { configured: vec![robot], ..ClientsConfig::default() };
    let access = by_groups();
    let mut fixture = GatewayFixture::of(Setup { clients, access, ..Setup::default() }).await;
    let other = fixture.client("/mcp").await;
    fixture.browser().keep_secret(SECRET);
    let robot = OAuthClient {
        id: "robot".to_owned(),
        secret: Some(SECRET.to_owned()),
        auth_method: "client_secret_post".to_owned(),
        ..other
    };
    let answer = robot.token_request([("grant_type", "client_credentials")]).await.expect(200);
    let token = answer.json()["access_token"].as_str().unwrap().to_owned();
    let browser = fixture.browser();
    browser.keep_secret(&token);
    let mcp = McpClient::connect(&browser, &fixture.at("/mcp"), &token).await;
    assert!(mcp.tools().await.is_empty());
    assert_absent(&mcp.call("uuid_add", json!({"a": 1, "b": 2})).await, "without a rule");
    // By its group, and by its id.
    let by_id = Who { clients: vec![ClientId::from_text("robot")], ..Who::default() };
    for who in [group("robots"), by_id] {
        let what = What { tools: patterns(&["add"]), ..server("uuid") };
        fixture.config.access = policy(vec![allow(who, what)]);
        fixture.reload().await.unwrap();
        assert_eq!(mcp.tools().await, ["uuid_add"]);
        assert_eq!(mcp.call_text("uuid_add", json!({"a": 1, "b": 2})).await, "3");
    }
    fixture.close().await;
}

/// Whichever node takes a request: the one that runs it decides, by its own rules.
#[tokio::test]
async fn t32_the_node_that_runs_a_request_decides() {
    let setup = Setup { nodes: 2, access: by_groups(), ..Setup::default() };
    let mut fixture = GatewayFixture::of(setup).await;
    let (browser, token) = person(&fixture, "alice", "/mcp").await;
    let mut mcp = McpClient::connect(&browser, &fixture.at("/mcp"), &token).await;
    for url in [fixture.at("/mcp"), fixture.at_node(1, "/mcp")] {
        mcp.url = url;
        assert_eq!(mcp.tools().await, ["uuid_add", "uuid_echo"]);
        assert_absent(&mcp.call("uuid_crash", json!({})).await, &mcp.url);
    }
    // The owner alone has new rules.
    fixture.config.access = policy(vec![allow(group("sales"), server("uuid"))]);
    fixture.reload().await.unwrap();
    assert_absent(&mcp.call("uuid_add", json!({"a": 1, "b": 2})).await, "by the other node");
    fixture.close().await;
}

/// Whatever the rules are, what is listed can be called, and what can be called is listed.
#[tokio::test]
async fn t32_lists_and_calls_agree_whatever_the_rules_are() {
    const TOOLS: [&str; 6] =
        ["uuid_echo", "uuid_add", "uuid_fail", "uuid_count", "uuid_clock", "dice_roll"];
    const PROMPTS: [&str; 2] = ["uuid_greet", "uuid_plain"];
    const URIS: [&str; 2] = ["fixture://uuid/greeting", "fixture://uuid/numbers"];
    let whos = [group("engineering"), group("sales"), Who::default()];
    let whats = [
        server("uuid"),
        server("d*"),
        What::default(),
        What { tools: patterns(&["*o*"]), ..server("uuid") },
        What { read_only: Some(true), ..server("*") },
        What { read_only: Some(false), ..server("*") },
        What { prompts: patterns(&["p*"]), resources: patterns(&["*/g*"]), ..server("*") },
    ];
    let (mut fixture, _legacy) = fixture(Arc::default()).await;
    let (browser, token) = person(&fixture, "alice", "/mcp").await;
    let mcp = McpClient::connect(&browser, &fixture.at("/mcp"), &token).await;
    let (mut listed_ones, mut hidden_ones) = (0, 0);
    for n in 0..24_usize {
        let pick = |k: usize| (n * 7 + k * 5 + n * k) % 11;
        let effect = |k: usize| if pick(k) % 4 == 3 { Effect::Deny } else { Effect::Allow };
        let rules = (0..=n % 3).map(|k| {
            rule(
                effect(k),
                whos[pick(k) % whos.len()].clone(),
                whats[pick(k + 1) % whats.len()].clone(),
            )
        });
        fixture.config.access = policy(rules.collect());
        fixture.reload().await.unwrap();
        let tools = names(&mcp, "tools/list", "tools", "name").await;
        let prompts = names(&mcp, "prompts/list", "prompts", "name").await;
        let uris = names(&mcp, "resources/list", "resources", "uri").await;
        let calls = TOOLS.map(|name| ("tools/call", name, tools.iter().any(|one| one == name)));
        let gets = PROMPTS.map(|name| ("prompts/get", name, prompts.iter().any(|one| one == name)));
        let reads = URIS.map(|uri| ("resources/read", uri, uris.iter().any(|one| one == uri)));
        for (method, name, listed) in calls.into_iter().chain(gets).chain(reads) {
            let arguments = if name.ends_with("add") {
                json!({"a": 1, "b": 2})
            } else {
                json!({"text": "x", "who": "x"})
            };
            let params = if method == "resources/read" {
                json!({"uri": name})
            } else {
                json!({"name": name, "arguments": arguments})
            };
            let answer = mcp.request(method, params).await;
            let is_answered = answer["result"].is_object();
            assert_eq!(
                is_answered, listed,
                "{n} {method} {name}: {answer} {:?}",
                fixture.config.access
            );
            if listed { listed_ones += 1 } else { hidden_ones += 1 }
        }
    }
    assert!(listed_ones > 40 && hidden_ones > 40, "{listed_ones} {hidden_ones}");
    fixture.close().await;
}
