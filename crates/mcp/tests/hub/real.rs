//! The hub and the pool together, before real servers: one a child process, one over HTTP.

#[path = "../support/mod.rs"]
pub(crate) mod support;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use portunus_core::entropy::SeededEntropy;
use portunus_mcp::{
    hub::{Hub, HubSettings, Servers},
    sandbox::Sandbox,
    spec::{Isolation, ServerSpec, Transport},
    upstream::{Options, Upstreams},
};
use portunus_testkit::{
    figures::Figures,
    mcp_servers::{FixtureServer, HttpOptions, fixture_binary},
    wait::eventually,
};
use serde_json::{Value, json};

use super::{
    client::{Client, Events, Wax},
    fake::name,
};

struct World {
    hub: Arc<Hub>,
    pool: Arc<Upstreams>,
    web: FixtureServer,
}

impl World {
    async fn new() -> Self {
        Self::with(Options::default()).await
    }

    async fn with(options: Options) -> Self {
        let web = FixtureServer::start_with(HttpOptions {
            name: "web".to_owned(),
            page_size: 3,
            ..HttpOptions::default()
        })
        .await;
        let command = fixture_binary().to_str().unwrap().to_owned();
        let args = ["--stdio", "--name", "child", "--page-size", "2"].map(str::to_owned).to_vec();
        let child = Transport::Stdio {
            command,
            args,
            env: BTreeMap::new(),
            cwd: None,
            sandbox: Sandbox::default(),
        };
        let absent = Transport::Stdio {
            command: "no-such-program".to_owned(),
            args: vec![],
            env: BTreeMap::new(),
            cwd: None,
            sandbox: Sandbox::default(),
        };
        let specs = vec![
            spec("child", child),
            spec("absent", absent),
            spec("web", Transport::Http { url: web.url().clone(), headers: Vec::new() }),
        ];
        let pool = Arc::new(Upstreams::new(specs.clone(), support::client(), options));
        let servers = Arc::clone(&pool) as Arc<dyn Servers>;
        let hub = Hub::new(
            HubSettings::default(),
            specs,
            servers,
            Arc::new(SeededEntropy::new(1)),
            Arc::new(Wax),
        );
        Self { hub, pool, web }
    }

    async fn end(self) {
        self.hub.shutdown().await;
        self.pool.shutdown(Duration::from_secs(10)).await;
    }
}

fn spec(server: &str, transport: Transport) -> ServerSpec {
    let patience = Duration::from_secs(60);
    ServerSpec {
        isolation: Isolation::User,
        request_timeout: patience,
        connect_timeout: patience,
        idle_timeout: patience * 10,
        ..ServerSpec::with_defaults(name(server), transport)
    }
}

async fn said(client: &Client, tool: &str, arguments: Value) -> String {
    let result = client.result("tools/call", json!({ "name": tool, "arguments": arguments })).await;
    result["content"][0]["text"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn merged_lists_and_calls_reach_real_servers() {
    let world = World::new().await;
    let client = Client::all(&world.hub, "alice").await;
    // A stream takes what would else turn answers into streams.
    let mut stream = client.listen().await;
    let tools = client.tools().await;
    for expected in ["child_echo", "child_update_resource", "web_echo", "web_update_resource"] {
        assert!(tools.iter().any(|tool| tool == expected), "{expected} is not in {tools:?}");
    }
    assert!(!tools.iter().any(|tool| tool.starts_with("absent")));
    for server in ["child", "web"] {
        assert_eq!(said(&client, &format!("{server}_add"), json!({"a": 2, "b": 3})).await, "5");
        let uri = format!("fixture://{server}/greeting");
        let read = client.result("resources/read", json!({ "uri": uri })).await;
        assert_eq!(read["contents"][0]["text"], format!("Hello from {server}"));
        let item = client
            .result("resources/read", json!({ "uri": format!("fixture://{server}/items/7") }))
            .await;
        assert_eq!(item["contents"][0]["text"], "Item 7");
        let prompt = client
            .result(
                "prompts/get",
                json!({"name": format!("{server}_greet"), "arguments": {"who": "you"}}),
            )
            .await;
        assert_eq!(prompt["messages"][0]["content"]["text"], "Hello, you!");
        let completed = client
            .result(
                "completion/complete",
                json!({"ref": {"type": "ref/prompt", "name": format!("{server}_greet")}, "argument": {"name": "who", "value": "A"}}),
            )
            .await;
        assert_eq!(completed["completion"]["values"], json!(["Ada", "Alan"]));

        client.result("resources/subscribe", json!({ "uri": uri })).await;
        said(&client, &format!("{server}_update_resource"), json!({ "uri": uri })).await;
        assert!(stream.next().await.unwrap().contains(&format!(r#""uri":"{uri}""#)));
        // What a server logs about a call goes where the call's answer goes.
        let log = format!(
            r#"{{"jsonrpc":"2.0","id":"l{server}","method":"tools/call","params":{{"name":"{server}_log","arguments":{{"text":"hello"}}}}}}"#
        );
        let mut logged = Events::of(client.post(&log).await);
        assert!(logged.next().await.unwrap().contains("notifications/message"));
        assert!(logged.next().await.unwrap().contains("\"logged\""));
        said(&client, &format!("{server}_change_tools"), json!({})).await;
        assert!(stream.next().await.unwrap().contains("tools/list_changed"));
        assert!(client.tools().await.contains(&format!("{server}_late")));
    }
    let (_, message) = client.error("tools/call", json!({ "name": "absent_x" })).await;
    assert!(message.starts_with(r#"server "absent": the server"#), "{message}");
    world.end().await;
}

#[tokio::test]
async fn progress_and_cancellation_reach_real_servers() {
    let world = World::new().await;
    let client = Client::all(&world.hub, "alice").await;
    for server in ["child", "web"] {
        let body = format!(
            r#"{{"jsonrpc":"2.0","id":"{server}","method":"tools/call","params":{{"name":"{server}_slow","arguments":{{"steps":3,"step_ms":10}},"_meta":{{"progressToken":"t"}}}}}}"#
        );
        let mut events = Events::of(client.post(&body).await);
        for step in 1..=3 {
            let event: Value = serde_json::from_str(&events.next().await.unwrap()).unwrap();
            assert_eq!(
                (&event["params"]["progressToken"], event["params"]["progress"].as_f64()),
                (&json!("t"), Some(f64::from(step)))
            );
        }
        assert!(events.next().await.unwrap().contains("3 steps"));

        let hang = format!(
            r#"{{"jsonrpc":"2.0","id":"h{server}","method":"tools/call","params":{{"name":"{server}_hang"}}}}"#
        );
        let cancelled = async {
            // Behind the call on its way to the server: what is cancelled before it gets there is
            // never heard of there.
            assert_eq!(said(&client, &format!("{server}_add"), json!({"a": 1, "b": 1})).await, "2");
            tokio::time::sleep(Duration::from_millis(20)).await;
            // It may not have arrived yet all the same: only what is under way can be cancelled, so
            // say it until it is.
            eventually("the call is cancelled", async || {
                client
                    .notify("notifications/cancelled", &format!(r#"{{"requestId":"h{server}"}}"#))
                    .await;
                said(&client, &format!("{server}_cancelled"), json!({})).await == "1"
            })
            .await;
        };
        let (answer, ()) = tokio::join!(client.post(&hang), cancelled);
        assert_eq!(Events::of(answer).next().await, None);
    }
    world.end().await;
}

#[tokio::test]
async fn f13_a_server_that_dies_is_started_anew_and_the_others_answer() {
    // The tenth of a second is good service already.
    let world =
        World::with(Options { backoff_min: Duration::from_millis(10), ..Options::default() }).await;
    let client = Client::all(&world.hub, "alice").await;
    let first = said(&client, "child_process", json!({})).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    let (code, message) = client.error("tools/call", json!({ "name": "child_crash" })).await;
    assert_eq!((code, message.contains(r#"server "child""#)), (-32603, true), "{message}");
    world.web.forget_sessions().await;
    assert_eq!(
        said(&client, "web_add", json!({"a": 1, "b": 1})).await,
        "2",
        "a forgotten session is begun anew"
    );
    let (mut second, mut asked, mut failed_elsewhere) = (None, 0, 0);
    eventually("the dead one answers", async || {
        let other = client
            .ask("tools/call", json!({ "name": "web_add", "arguments": {"a": 1, "b": 1} }))
            .await;
        failed_elsewhere += usize::from(other["result"]["content"][0]["text"] != "2");
        asked += 1;
        let answer = client.ask("tools/call", json!({ "name": "child_process" })).await;
        second = answer["result"]["content"][0]["text"].as_str().map(str::to_owned);
        second.is_some()
    })
    .await;
    assert_ne!(second.unwrap(), first);
    Figures::of(
        "F13",
        "-",
        "one server of two dies, the other forgets its session; both are called",
    )
    .exactly("calls of the others that failed", failed_elsewhere, 0)
    .exactly("calls until the dead one answers", asked, 1)
    .report();
    world.end().await;
}

/// The call has time: its caller could do nothing but come again.
#[tokio::test]
async fn fb83_a_call_waits_for_a_server_that_died_soon_after_its_start() {
    let world = World::new().await;
    let client = Client::all(&world.hub, "alice").await;
    for _ in 0..2 {
        client.error("tools/call", json!({ "name": "child_crash" })).await;
        assert_eq!(said(&client, "child_add", json!({"a": 1, "b": 1})).await, "2");
    }
    world.end().await;
}

#[tokio::test]
async fn one_server_is_seen_as_it_is() {
    let world = World::new().await;
    for server in ["child", "web"] {
        let client = Client::one(&world.hub, "alice", server).await;
        let hello = &client.hello["result"];
        assert_eq!(
            (&hello["serverInfo"]["name"], &hello["protocolVersion"]),
            (&json!(server), &json!("2025-06-18"))
        );
        assert_eq!(hello["instructions"], format!("Instructions of {server}"));
        let page = client.result("tools/list", json!({})).await;
        let rest = client.result("tools/list", json!({ "cursor": page["nextCursor"] })).await;
        assert_eq!(
            (&page["tools"][0]["name"], rest["tools"].as_array().unwrap().is_empty()),
            (&json!("echo"), false)
        );
        assert_eq!(said(&client, "echo", json!({"text": "é"})).await, "é");
    }
    world.end().await;
}
