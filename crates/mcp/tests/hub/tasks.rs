//! Tasks on `/mcp`: what is asked about one goes to the server that made it, and to no other
//! person's.

use std::sync::{Arc, atomic::Ordering};

use insta::assert_snapshot;
use portunus_core::{access::ToolHints, ids::ServerName};
use portunus_mcp::{
    allow::{Allow, CalledWith, Verdict},
    hub::{Hub, HubSettings, View},
    spec::Isolation,
};
use serde_json::json;

use super::{
    client::{Client, hub},
    fake::{Fakes, Script},
    modern::Modern,
};

const EXTENSION: &str = r#"{"tools":{},"extensions":{"io.modelcontextprotocol/tasks":{}}}"#;
const CORE: &str =
    r#"{"tools":{},"tasks":{"list":{},"cancel":{},"requests":{"tools":{"call":{}}}}}"#;

/// Two modern servers with tasks, one without.
pub(crate) fn modern_servers() -> Arc<Fakes> {
    Fakes::new(vec![
        Script::new("plain").tools(&["x"]).modern(r#"{"tools":{}}"#),
        Script::new("one").tools(&["job", "other"]).modern(EXTENSION),
        Script::new("two").tools(&["job"]).modern(EXTENSION),
    ])
}

fn legacy_servers() -> Arc<Fakes> {
    Fakes::new(vec![
        Script::new("one").tools(&["job"]).declaring(CORE),
        Script::new("two").tools(&["job"]).declaring(CORE),
        Script::new("plain").tools(&["x"]).declaring(r#"{"tools":{}}"#),
    ])
}

pub(crate) async fn job(client: &Modern, server: &str, id: &str) {
    let made = client
        .raw("tools/call", json!({"name": format!("{server}_job"), "arguments": {"id": id}}))
        .await;
    assert!(
        made.contains(&format!(
            r#"{{"resultType":"task", "taskId":"{id}","status":"working","ttlMs":1.0e5}}"#
        )),
        "{made}"
    );
}

async fn legacy_job(client: &Client, server: &str, id: &str) {
    let params =
        format!(r#"{{"name":"{server}_job","arguments":{{"id":"{id}"}},"task":{{"ttl":60000}}}}"#);
    let made = client.raw("tools/call", &params).await;
    assert!(
        made.contains(&format!(
            r#"{{"task":{{"taskId":"{id}", "status":"working","ttl":1.0e5}}}}"#
        )),
        "{made}"
    );
}

fn asked(fakes: &Fakes, server: &str) -> usize {
    ["get", "update", "cancel", "result"]
        .iter()
        .map(|what| fakes.script(server).heard(&format!("tasks/{what}")).len())
        .sum()
}

/// Another gateway before the same servers, or the same one after a restart.
fn anew(fakes: &Arc<Fakes>) -> Arc<Hub> {
    hub(fakes, HubSettings::default())
}

#[tokio::test]
async fn what_is_asked_about_a_task_goes_where_it_was_made() {
    let fakes = modern_servers();
    let client = Modern::all(&anew(&fakes), "alice");
    job(&client, "one", "a").await;
    job(&client, "two", "b/ü?").await;
    // With the bytes of the server.
    assert_snapshot!(client.raw("tasks/get", json!({"taskId": "a"})).await, @r#"{"jsonrpc":"2.0","id":3,"result":{"by":"one", "taskId":"a","status":"working","n":1.0}}"#);
    for (method, server) in [("tasks/update", "one"), ("tasks/cancel", "one")] {
        let echoed =
            client.result(method, json!({"taskId": "a", "inputResponses": {"k": {"n": 1}}})).await;
        assert_eq!(
            (&echoed["by"], &echoed["params"]["inputResponses"]["k"]["n"]),
            (&json!(server), &json!(1))
        );
    }
    assert_eq!((asked(&fakes, "one"), asked(&fakes, "two")), (3, 0), "no other server is asked");
    for method in ["tasks/list", "tasks/result", "tasks/other"] {
        assert_eq!(client.error(method, json!({})).await.0, -32601, "{method}");
    }
    assert_snapshot!(client.raw("tasks/get", json!({})).await, @r#"{"jsonrpc":"2.0","id":9,"error":{"code":-32602,"message":"`taskId` is missing"}}"#);
    // Another parser could read another id.
    let odd = client.raw("tasks/get", json!({"taskid": "b", "taskId": "a"})).await;
    assert_snapshot!(odd, @r#"{"jsonrpc":"2.0","id":10,"error":{"code":-32600,"message":"the key `taskid` must be spelt `taskId`"}}"#);
}

#[tokio::test]
async fn a_task_that_is_not_remembered_is_found() {
    let fakes = modern_servers();
    let before = Modern::all(&anew(&fakes), "alice");
    job(&before, "two", "b").await;
    let client = Modern::all(&anew(&fakes), "alice");
    let echoed = client.result("tasks/cancel", json!({"taskId": "b"})).await;
    assert_eq!(echoed["by"], "two");
    assert_eq!(
        (
            fakes.script("one").heard("tasks/get").len(),
            fakes.script("one").heard("tasks/cancel").len()
        ),
        (1, 0)
    );
    assert!(fakes.script("plain").heard("tasks/get").is_empty(), "it has no tasks");
    client.result("tasks/cancel", json!({"taskId": "b"})).await;
    assert_eq!(fakes.script("one").heard("tasks/get").len(), 1, "from then on it is remembered");
    let (code, message) = client.error("tasks/get", json!({"taskId": "nobody's"})).await;
    assert_eq!((code, message.as_str()), (-32602, "Task not found"));
    fakes.script("one").down.store(true, Ordering::SeqCst);
    fakes.breaks("one");
    let (_, message) = client.error("tasks/get", json!({"taskId": "nobody's"})).await;
    assert_eq!(message, "Task not found (not available now: one)");
}

#[tokio::test]
async fn the_same_id_at_two_servers_is_neithers() {
    let fakes = modern_servers();
    let client = Modern::all(&anew(&fakes), "alice");
    job(&client, "one", "1").await;
    job(&client, "two", "1").await;
    let before = (asked(&fakes, "one"), asked(&fakes, "two"));
    let (code, message) = client.error("tasks/cancel", json!({"taskId": "1"})).await;
    assert_snapshot!(format!("{code} {message}"), @"-32602 several servers (one, two) have a task of this id: use `/mcp/{server}` to say which one");
    assert_eq!((asked(&fakes, "one"), asked(&fakes, "two")), before);
    let client = Modern::all(&anew(&fakes), "alice");
    let (_, found) = client.error("tasks/cancel", json!({"taskId": "1"})).await;
    assert_eq!(found, message, "nor when they have to be asked");
    assert!(fakes.scripts.iter().all(|script| script.heard("tasks/cancel").is_empty()));
}

#[tokio::test]
async fn the_oldest_tasks_are_forgotten() {
    let fakes = modern_servers();
    let settings = HubSettings { max_tasks_per_user: 1, ..HubSettings::default() };
    let client = Modern::all(&hub(&fakes, settings), "alice");
    job(&client, "one", "a").await;
    job(&client, "one", "b").await;
    client.result("tasks/get", json!({"taskId": "b"})).await;
    assert_eq!(asked(&fakes, "two"), 0);
    client.result("tasks/get", json!({"taskId": "a"})).await;
    assert_eq!(asked(&fakes, "two"), 1, "its server had to be found");
}

#[tokio::test]
async fn t37_nobody_reaches_the_task_of_another() {
    let shared = |name| Script::new(name).tools(&["job"]).isolated(Isolation::Shared);
    let fakes =
        Fakes::new(vec![shared("modern").modern(EXTENSION), shared("legacy").declaring(CORE)]);
    let hub = anew(&fakes);
    let (alice, bob) = (Modern::all(&hub, "alice"), Modern::all(&hub, "bob"));
    job(&alice, "modern", "a").await;
    bob.result("tools/call", json!({"name": "modern_job", "arguments": {"id": "b"}})).await;
    for method in ["tasks/get", "tasks/update", "tasks/cancel"] {
        let (code, message) = bob.error(method, json!({"taskId": "a"})).await;
        assert_eq!((code, message.as_str()), (-32602, "Task not found"), "{method}");
    }
    assert_eq!(
        asked(&fakes, "modern"),
        0,
        "the server, which cannot tell them apart, is not asked"
    );
    alice.result("tasks/get", json!({"taskId": "a"})).await;
    let (alice, bob) = (Client::all(&hub, "alice").await, Client::all(&hub, "bob").await);
    legacy_job(&alice, "legacy", "c").await;
    legacy_job(&bob, "legacy", "d").await;
    assert_eq!(alice.names("tasks/list", "tasks", "taskId").await, ["c"]);
    assert_eq!(bob.names("tasks/list", "tasks", "taskId").await, ["d"]);
    assert_eq!(bob.error("tasks/result", json!({"taskId": "c"})).await.1, "Task not found");
}

/// Of the server `one`, some tools; of `two`, nothing.
#[derive(Clone)]
struct Only(&'static [&'static str]);

impl Allow for Only {
    fn server(&self, server: &ServerName) -> Verdict {
        (server.as_str() == "one").into()
    }
    fn tool(&self, server: &ServerName, name: &str, _: ToolHints, _: CalledWith<'_>) -> Verdict {
        match (server.as_str(), self.0.contains(&name)) {
            ("one", true) => Verdict::Allowed,
            ("one", false) => Verdict::NotGranted,
            _ => Verdict::Hidden,
        }
    }
    fn prompt(&self, _: &ServerName, _: &str, _: CalledWith<'_>) -> Verdict {
        Verdict::Hidden
    }
    fn resource(&self, _: &ServerName, _: &str) -> Verdict {
        Verdict::Hidden
    }
    fn method(&self, _: &ServerName, _: &str) -> Verdict {
        Verdict::NotGranted
    }
}

#[tokio::test]
async fn t32_what_is_asked_about_a_task_is_guarded_like_its_tool() {
    let fakes = modern_servers();
    let hub = anew(&fakes);
    let mut client = Modern::all(&hub, "alice");
    job(&client, "one", "a").await;
    job(&client, "two", "b").await;
    client.caller.allow = Arc::new(Only(&["job"]));
    assert_eq!(
        client.result("tasks/get", json!({"taskId": "a"})).await["by"],
        "one",
        "who may call the tool"
    );
    let before = (asked(&fakes, "one"), asked(&fakes, "two"));
    assert_eq!(
        client.error("tasks/get", json!({"taskId": "b"})).await.0,
        -32010,
        "a hidden server's task is as one that is not"
    );
    client.caller.allow = Arc::new(Only(&["other"]));
    let refused = client.post("tasks/get", json!({"taskId": "a"})).await;
    assert_eq!(refused.status, http::StatusCode::FORBIDDEN);
    assert_eq!((asked(&fakes, "one"), asked(&fakes, "two")), before);
}

#[tokio::test]
async fn only_who_follows_tasks_is_told_of_them() {
    let fakes = modern_servers();
    let hub = anew(&fakes);
    let mut client = Modern::all(&hub, "alice");
    job(&client, "one", "a").await;
    client.capabilities = json!({});
    for method in ["tasks/get", "tasks/update", "tasks/cancel"] {
        let answer = client.post(method, json!({"taskId": "no matter which"})).await;
        assert_eq!(answer.status, http::StatusCode::BAD_REQUEST);
        let (code, message) = client.error(method, json!({"taskId": "a"})).await;
        assert_eq!(code, -32021, "{message}");
    }
    let plain = Fakes::new(vec![Script::new("plain").tools(&["x"]).modern(r#"{"tools":{}}"#)]);
    let client = Modern::all(&anew(&plain), "alice");
    client.result("tools/list", json!({})).await;
    assert_eq!(
        client.error("tasks/get", json!({"taskId": "a"})).await.0,
        -32601,
        "nobody has tasks"
    );
}

#[tokio::test]
async fn tasks_of_the_handshake_era() {
    let fakes = legacy_servers();
    let client = Client::all(&anew(&fakes), "alice").await;
    client.tools().await;
    legacy_job(&client, "one", "a").await;
    legacy_job(&client, "two", "b").await;
    for method in ["tasks/result", "tasks/cancel"] {
        assert_eq!(client.result(method, json!({"taskId": "b"})).await["by"], "two", "{method}");
    }
    assert_eq!(client.result("tasks/get", json!({"taskId": "a"})).await["by"], "one");
    assert_eq!(
        client.error("tasks/update", json!({"taskId": "a"})).await.0,
        -32601,
        "of the extension alone"
    );
    assert_eq!((asked(&fakes, "one"), asked(&fakes, "two"), asked(&fakes, "plain")), (1, 2, 0));
    let client = Client::all(&anew(&fakes), "alice").await;
    assert_eq!(
        client.result("tasks/result", json!({"taskId": "b"})).await["by"],
        "two",
        "after a restart"
    );
    assert!(asked(&fakes, "plain") == 0);
}

#[tokio::test]
async fn lists_of_tasks_are_merged_page_by_page() {
    let mut scripts = vec![];
    for (name, page_size) in [("one", 2), ("two", 100), ("three", 100)] {
        let mut script = Script::new(name).tools(&["job"]).declaring(CORE);
        script.page_size = page_size;
        scripts.push(script);
    }
    let fakes = Fakes::new(scripts);
    let client = Client::all(&anew(&fakes), "alice").await;
    for (server, id) in [("one", "1"), ("one", "2"), ("one", "3"), ("two", "4"), ("three", "5")] {
        legacy_job(&client, server, id).await;
    }
    let first = client.raw("tasks/list", "{}").await;
    assert!(
        first.contains(r#""tasks":[{"taskId":"1","n":1.0},{"taskId":"2","n":1.0}],"nextCursor":"#),
        "{first}"
    );
    fakes.script("two").down.store(true, Ordering::SeqCst);
    fakes.breaks("two");
    let first: serde_json::Value = serde_json::from_str(&first).unwrap();
    let rest = client.result("tasks/list", json!({"cursor": first["result"]["nextCursor"]})).await;
    assert_eq!(
        rest,
        json!({"tasks": [{"taskId": "3", "n": 1.0}, {"taskId": "5", "n": 1.0}]}),
        "without the server that is down"
    );
    assert_eq!(client.error("tasks/list", json!({"cursor": "nonsense"})).await.0, -32602);
}

#[tokio::test]
async fn the_extension_is_declared_when_a_server_has_it() {
    let fakes = modern_servers();
    let hub = anew(&fakes);
    let client = Modern::all(&hub, "alice");
    client.result("tools/list", json!({})).await;
    let capabilities = client.result("server/discover", json!({})).await["capabilities"].take();
    assert_snapshot!(capabilities, @r#"{"tools":{"listChanged":true},"extensions":{"io.modelcontextprotocol/tasks":{}}}"#);
    let legacy =
        Client::open(&anew(&legacy_servers()), super::client::caller("alice", View::All)).await;
    legacy.tools().await;
    let again = super::client::initialize(&legacy.hub, &legacy.caller, "2025-11-25").await;
    let hello: serde_json::Value = serde_json::from_str(&super::client::text(again)).unwrap();
    assert_snapshot!(hello["result"]["capabilities"], @r#"{"tools":{"listChanged":true},"tasks":{"list":{},"cancel":{},"requests":{"tools":{"call":{}}}}}"#);
}
