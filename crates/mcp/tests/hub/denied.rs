//! Rules that change (threat 32): what they took away goes on nowhere, neither on a stream, in an
//! answer that was kept, nor at a server that is told things on a client's behalf. And names that a
//! server does not list, where there are rules.

use std::sync::{Arc, Mutex, atomic::Ordering};

use http::StatusCode;
use portunus_core::{access::ToolHints, ids::ServerName};
use portunus_mcp::{
    allow::{Allow, CalledWith, Unmet, Verdict},
    hub::{Hub, HubSettings, View},
};
use portunus_testkit::wait::eventually;
use serde_json::json;

use super::{
    client::{Client, Events, caller, hub},
    fake::{Fakes, Script, name},
    modern::Modern,
    tasks::{job, modern_servers},
};

/// Everything but these words, which are servers, tools, prompts and URIs.
#[derive(Default)]
struct Rules(Mutex<(u64, Vec<&'static str>)>);

impl Rules {
    fn deny(&self, words: &[&'static str]) {
        let mut rules = self.0.lock().unwrap();
        *rules = (rules.0 + 1, words.to_vec());
    }

    fn may(&self, word: &str) -> Verdict {
        (!self.0.lock().unwrap().1.contains(&word)).into()
    }
}

impl Allow for Rules {
    fn server(&self, server: &ServerName) -> Verdict {
        self.may(server.as_str())
    }
    fn tool(&self, _: &ServerName, name: &str, _: ToolHints, _: CalledWith<'_>) -> Verdict {
        self.may(name)
    }
    fn prompt(&self, _: &ServerName, name: &str, _: CalledWith<'_>) -> Verdict {
        self.may(name)
    }
    fn resource(&self, _: &ServerName, uri: &str) -> Verdict {
        self.may(uri)
    }
    fn method(&self, _: &ServerName, _: &str) -> Verdict {
        Verdict::Allowed
    }
    fn asks_listed(&self, _: &ServerName) -> bool {
        true
    }
    fn rules(&self) -> u64 {
        self.0.lock().unwrap().0
    }
}

async fn legacy(hub: &Arc<Hub>, view: View, rules: &Arc<Rules>) -> Client {
    let mut caller = caller("alice", view);
    caller.allow = Arc::clone(rules) as Arc<dyn Allow>;
    Client::open(hub, caller).await
}

fn state(id: &str) -> String {
    format!(r#"{{"taskId":"{id}","status":"completed"}}"#)
}

#[tokio::test]
async fn t32_a_task_of_a_denied_tool_is_told_of_no_more() {
    let fakes = modern_servers();
    let (hub, rules) = (hub(&fakes, HubSettings::default()), Arc::new(Rules::default()));
    let mut client = Modern::all(&hub, "alice");
    client.caller.allow = Arc::clone(&rules) as Arc<dyn Allow>;
    job(&client, "one", "a").await;
    let (mut events, agreed) = client.listen(json!({"taskIds": ["a"]})).await;
    assert_eq!(agreed, json!({"taskIds": ["a"]}));
    fakes.says("one", "notifications/tasks", Some(&state("a")));
    assert!(events.next().await.unwrap().contains("notifications/tasks"));

    rules.deny(&["job"]);
    fakes.says("one", "notifications/tasks", Some(&state("a")));
    assert!(events.is_silent().await, "judged as it is told");
    assert!(fakes.script("one").heard("leave").is_empty());
    hub.permissions_changed();
    eventually("its server is told", async || fakes.script("one").heard("leave") == ["a"]).await;
    assert_eq!(client.error("tasks/get", json!({"taskId": "a"})).await.1, "Task not found");
    rules.deny(&[]);
    fakes.says("one", "notifications/tasks", Some(&state("a")));
    assert!(events.is_silent().await, "it is over for this stream");
}

#[tokio::test]
async fn t32_the_status_of_a_task_is_for_who_may_call_its_tool() {
    let core = r#"{"tools":{},"tasks":{}}"#;
    let fakes = Fakes::new(vec![Script::new("one").tools(&["job"]).declaring(core)]);
    let (hub, rules) = (hub(&fakes, HubSettings::default()), Arc::new(Rules::default()));
    for view in [View::All, View::One(name("one"))] {
        let tool = if view == View::All { "one_job" } else { "job" };
        rules.deny(&[]);
        let client = legacy(&hub, view, &rules).await;
        let mut stream = client.listen().await;
        let params = json!({"name": tool, "arguments": {"id": tool}, "task": {}});
        client.result("tools/call", params).await;
        fakes.says("one", "notifications/tasks/status", Some(&state(tool)));
        assert!(stream.next().await.unwrap().contains("tasks/status"));
        rules.deny(&["job"]);
        fakes.says("one", "notifications/tasks/status", Some(&state(tool)));
        assert!(stream.is_silent().await);
        for method in ["tasks/get", "tasks/result"] {
            let (_, text) = client.error(method, json!({ "taskId": tool })).await;
            assert_eq!(text, "Task not found", "{method}");
        }
    }
}

#[tokio::test]
async fn t32_a_list_that_was_kept_is_not_given_under_other_rules() {
    let fakes = Fakes::new(vec![Script::new("dice").tools(&["roll", "secret"])]);
    let (hub, rules) = (hub(&fakes, HubSettings::default()), Arc::new(Rules::default()));
    let client = legacy(&hub, View::One(name("dice")), &rules).await;
    let call = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"roll"}}"#;
    let list = r#"{"jsonrpc":"2.0","id":2,"method":"tools/list","params":{}}"#;
    for (id, body) in [(1, call), (2, list)] {
        rules.deny(&[]);
        // A message that waits makes the answer a stream.
        hub.permissions_changed();
        let mut events = Events::of(client.post(body).await);
        assert!(events.next().await.unwrap().contains("list_changed"));
        let first = events.last.clone().unwrap();
        drop(events);
        let mut again = Events::of(client.take_up(&first).await);
        // bounded: the stream ends.
        while !again.next().await.expect("its answer").contains(&format!(r#""id":{id},"result""#)) {
        }
        drop(again);
        rules.deny(&["other"]);
        let status = client.take_up(&first).await.status;
        let is_list = id == 2;
        assert_eq!(
            status.is_success(),
            !is_list,
            "a call is judged again, a list was made by others"
        );
        rules.deny(&["roll"]);
        assert_eq!(client.take_up(&first).await.status, StatusCode::BAD_REQUEST, "{body}");
    }
}

/// Only with `acme` among the arguments.
struct Arguments;

impl Allow for Arguments {
    fn server(&self, _: &ServerName) -> Verdict {
        Verdict::Allowed
    }
    fn tool(&self, _: &ServerName, _: &str, _: ToolHints, with: CalledWith<'_>) -> Verdict {
        match with {
            CalledWith::Any => Verdict::Allowed,
            CalledWith::These(Some(json)) if json.as_str().contains("acme") => Verdict::Allowed,
            CalledWith::These(_) => Verdict::Unmet(Unmet::Arguments),
        }
    }
    fn prompt(&self, _: &ServerName, _: &str, _: CalledWith<'_>) -> Verdict {
        Verdict::Allowed
    }
    fn resource(&self, _: &ServerName, _: &str) -> Verdict {
        Verdict::Allowed
    }
    fn method(&self, _: &ServerName, _: &str) -> Verdict {
        Verdict::Allowed
    }
    fn asks_arguments(&self) -> bool {
        true
    }
}

/// The arguments were judged when the call came, and are not kept.
#[tokio::test]
async fn t32_the_answer_of_a_call_with_judged_arguments_is_taken_up_again() {
    let fakes = Fakes::new(vec![Script::new("dice").tools(&["roll"])]);
    let hub = hub(&fakes, HubSettings::default());
    let client = Client::allowed(&hub, View::One(name("dice")), Arguments).await;
    let refused = client.error("tools/call", json!({"name": "roll"})).await;
    assert_eq!(refused.0, -32012, "{}", refused.1);
    hub.permissions_changed();
    let call = r#"{"jsonrpc":"2.0","id":9,"method":"tools/call","params":{"name":"roll","arguments":{"org":"acme"}}}"#;
    let mut events = Events::of(client.post(call).await);
    assert!(events.next().await.unwrap().contains("list_changed"));
    let first = events.last.clone().unwrap();
    drop(events);
    let mut again = Events::of(client.take_up(&first).await);
    assert!(again.next().await.expect("its answer").contains(r#""id":9,"result""#));
}

#[tokio::test]
async fn t32_a_denied_server_is_told_nothing_on_the_callers_behalf() {
    let fakes =
        Fakes::new(vec![Script::new("one").tools(&["x"]), Script::new("two").tools(&["x"])]);
    let (hub, rules) = (hub(&fakes, HubSettings::default()), Arc::new(Rules::default()));
    let client = legacy(&hub, View::All, &rules).await;
    for server in ["one", "two"] {
        client.call(&format!("{server}_x")).await;
    }
    rules.deny(&["two"]);
    client.notify("notifications/roots/list_changed", "{}").await;
    client.result("logging/setLevel", json!({"level": "error"})).await;
    for told in ["notifications/roots/list_changed", "logging/setLevel"] {
        assert_eq!(fakes.script("one").heard(told).len(), 1, "{told}");
        assert!(fakes.script("two").heard(told).is_empty(), "{told}");
    }
    fakes.breaks("two");
    assert_eq!(client.error("tools/call", json!({"name": "two_x"})).await.0, -32602);
    assert_eq!(fakes.script("two").connects.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn t32_subscriptions_to_what_is_denied_end() {
    let listed = [r#"{"uri":"open:a"}"#, r#"{"uri":"secret:a"}"#];
    let fakes = Fakes::new(vec![
        Script::new("one").with("resources/list", &listed),
        Script::new("two").with("resources/list", &[r#"{"uri":"two:a"}"#]),
    ]);
    let (hub, rules) = (hub(&fakes, HubSettings::default()), Arc::new(Rules::default()));
    let client = legacy(&hub, View::All, &rules).await;
    for uri in ["open:a", "secret:a", "two:a"] {
        client.result("resources/subscribe", json!({ "uri": uri })).await;
    }
    rules.deny(&["secret:a", "two"]);
    hub.permissions_changed();
    let ended = |server: &str| fakes.script(server).heard("resources/unsubscribe");
    eventually("the servers are told", async || {
        ended("one") == [r#"{"uri":"secret:a"}"#] && ended("two") == [r#"{"uri":"two:a"}"#]
    })
    .await;
    // What is left is told to a new connection, and nothing else.
    let before = fakes.script("one").heard("resources/subscribe").len();
    fakes.breaks("one");
    fakes.breaks("two");
    rules.deny(&["secret:a", "two", "more"]);
    hub.permissions_changed();
    eventually("the rest is renewed", async || {
        fakes.script("one").heard("resources/subscribe").len() > before
    })
    .await;
    let heard = fakes.script("one").heard("resources/subscribe");
    assert_eq!(heard[before..], [r#"{"uri":"open:a"}"#.to_owned()]);
    assert_eq!(fakes.script("two").connects.load(Ordering::SeqCst), 1, "it is not connected to");
}

#[tokio::test]
async fn t32_where_there_are_rules_what_a_server_does_not_list_is_not_called() {
    let script = Script::new("dice")
        .tools(&["delete_repo", "look"])
        .with("prompts/list", &[r#"{"name":"secret"}"#, r#"{"name":"open"}"#]);
    let fakes = Fakes::new(vec![script]);
    let (hub, rules) = (hub(&fakes, HubSettings::default()), Arc::new(Rules::default()));
    rules.deny(&["delete_repo", "secret"]);
    let client = legacy(&hub, View::One(name("dice")), &rules).await;
    client.call("look").await;
    client.result("prompts/get", json!({"name": "open"})).await;
    let said = |name: &str| {
        [
            ("tools/call", json!({ "name": name })),
            ("prompts/get", json!({ "name": name })),
            ("completion/complete", json!({"ref": {"type": "ref/prompt", "name": name}})),
        ]
    };
    for other in ["Delete_Repo", "delete_repo ", "delete-repo", "d\u{435}lete_repo", "SECRET", "x"]
    {
        for (method, params) in said(other) {
            assert_eq!(client.error(method, params).await.0, -32602, "{method} {other}");
        }
    }
    for method in
        ["Tools/Call", " tools/call", "Prompts/Get", "Tools/list", "TASKS/get", "Server/discover"]
    {
        let params = json!({"name": "delete_repo", "taskId": "a"});
        assert_eq!(client.error(method, params).await.0, -32601, "{method}");
    }
    for asked in ["tools/call", "prompts/get", "completion/complete"] {
        let heard = fakes.script("dice").heard(asked);
        assert!(
            heard.iter().all(|params| params.contains("look") || params.contains("open")),
            "{heard:?}"
        );
    }
    assert!(fakes.script("dice").heard("Tools/Call").is_empty());
    client.result("own/method", json!({})).await;
}

#[tokio::test]
async fn a_tool_that_appeared_unannounced_is_found_before_it_is_refused() {
    let fakes = Fakes::new(vec![Script::new("dice").tools(&["look"])]);
    let (hub, rules) = (hub(&fakes, HubSettings::default()), Arc::new(Rules::default()));
    let client = legacy(&hub, View::One(name("dice")), &rules).await;
    client.call("look").await;
    // No schema: `/mcp` does not show it, its own server's address does.
    let odd = r#"{"name":"odd"}"#;
    let new = r#"{"name":"new","inputSchema":{"type":"object"}}"#;
    fakes.script("dice").set("tools/list", &[new, odd]);
    tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
    for tool in ["new", "odd"] {
        assert_eq!(client.call(tool).await["by"], "dice");
    }
    let fetched = fakes.script("dice").heard("tools/list").len();
    let began = std::time::Instant::now();
    for n in 0..20 {
        client.error("tools/call", json!({ "name": format!("unknown{n}") })).await;
    }
    let again = fakes.script("dice").heard("tools/list").len() - fetched;
    let seconds = usize::try_from(began.elapsed().as_secs()).unwrap();
    assert!(again <= 1 + seconds, "the list is not fetched with each call: {again}");
}

#[tokio::test]
async fn without_rules_what_a_server_does_not_list_is_its_own_to_refuse() {
    let fakes = Fakes::new(vec![Script::new("dice").tools(&["look"])]);
    let hub = hub(&fakes, HubSettings::default());
    let client = Client::one(&hub, "alice", "dice").await;
    assert_eq!(client.call("unlisted").await["by"], "dice");
}
