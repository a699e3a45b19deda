//! Tools that changed (threat 45), judged by pins that a test writes down: where they are missing,
//! what their calls are answered with, and when they come back.

use std::sync::{Arc, Mutex, atomic::Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use http::HeaderName;
use insta::{allow_duplicates, assert_snapshot};
use portunus_core::ids::ServerName;
use portunus_mcp::{
    hub::{Hub, HubSettings, Names, View},
    pins::{ToolPins, Trust},
    spec::Isolation,
    wire::Payload,
};
use serde_json::{Value, json};

use super::{
    client::{Client, caller, headers, hub, text},
    fake::{Fakes, Script, name},
};

/// Holds every tool whose text has one of these words in it.
#[derive(Debug, Default)]
struct Words(Mutex<Vec<&'static str>>);

impl Words {
    fn hold(&self, words: &[&'static str]) {
        *self.0.lock().unwrap() = words.to_vec();
    }
}

#[async_trait]
impl ToolPins for Words {
    fn holds(&self, _: &ServerName) -> bool {
        true
    }

    async fn judge(&self, _: &ServerName, tools: &[Payload]) -> Vec<Trust> {
        let words = self.0.lock().unwrap();
        let held = |tool: &Payload| words.iter().any(|word| tool.as_str().contains(word));
        tools.iter().map(|tool| if held(tool) { Trust::Hold } else { Trust::Pass }).collect()
    }
}

fn with_pins(fakes: &Arc<Fakes>, names: Names) -> (Arc<Hub>, Arc<Words>) {
    let words = Arc::new(Words::default());
    words.hold(&["evil"]);
    let settings = HubSettings {
        names,
        pins: Arc::clone(&words) as Arc<dyn ToolPins>,
        ..HubSettings::default()
    };
    (hub(fakes, settings), words)
}

const GOOD: &str = r#"{"name":"roll","description":"rolls","inputSchema":{"type":"object"}}"#;
const EVIL: &str = r#"{"name":"roll","description":"evil","inputSchema":{"type":"object"}}"#;
const FLIP: &str = r#"{"name":"flip","inputSchema":{"type":"object"}}"#;

async fn assert_refused(client: &Client, tool: &str) {
    let answer = client.ask("tools/call", json!({ "name": tool })).await;
    allow_duplicates! {
        assert_snapshot!(answer["error"], @r#"{"code":-32011,"message":"the tool roll of the server dice has changed: an administrator must approve it before it can be used"}"#);
    }
}

#[tokio::test]
async fn t45_a_held_tool_is_missing_and_refused_until_it_is_approved() {
    let fakes = Fakes::new(vec![Script::new("dice").with("tools/list", &[EVIL, FLIP])]);
    let (hub, words) = with_pins(&fakes, Names::Prefixed);
    let (all, one) = (Client::all(&hub, "alice").await, Client::one(&hub, "alice", "dice").await);
    assert_eq!(all.tools().await, ["dice_flip"]);
    assert_eq!(one.tools().await, ["flip"]);
    assert_refused(&all, "dice_roll").await;
    assert_refused(&one, "roll").await;
    assert!(fakes.script("dice").heard("tools/call").is_empty());
    assert_eq!(all.call("dice_flip").await["by"], "dice", "the others are there as always");
    assert_eq!(one.call("flip").await["by"], "dice");

    words.hold(&[]);
    assert_eq!(all.call("dice_roll").await["by"], "dice");
    assert_eq!(one.call("roll").await["by"], "dice");
    assert_eq!(all.tools().await, ["dice_roll", "dice_flip"], "in its own place again");
    assert_eq!(one.tools().await, ["roll", "flip"]);
}

#[tokio::test]
async fn t45_whoever_never_listed_it_cannot_call_it_either() {
    let fakes = Fakes::new(vec![Script::new("dice").with("tools/list", &[EVIL])]);
    let (hub, _) = with_pins(&fakes, Names::Prefixed);
    assert_refused(&Client::one(&hub, "alice", "dice").await, "roll").await;
    assert_refused(&Client::all(&hub, "bob").await, "dice_roll").await;
}

/// A request of revision 2026-07-28: there is no session, and no client listed anything before.
async fn modern(hub: &Arc<Hub>, method: &str, tool: Option<&str>) -> Value {
    let meta = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    let params = json!({"name": tool, "arguments": {}, "_meta": meta});
    let mut map = headers(&[
        ("content-type", "application/json"),
        ("accept", "application/json, text/event-stream"),
        ("mcp-protocol-version", "2026-07-28"),
        ("mcp-method", method),
    ]);
    map.extend(tool.map(|tool| (HeaderName::from_static("mcp-name"), tool.parse().unwrap())));
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).to_string();
    let answer = hub.post(caller("alice", View::One(name("dice"))), &map, Bytes::from(body)).await;
    serde_json::from_str(&text(answer)).unwrap()
}

#[tokio::test]
async fn t45_clients_without_sessions_are_protected_too() {
    let fakes = Fakes::new(vec![Script::new("dice").with("tools/list", &[EVIL, FLIP])]);
    let (hub, words) = with_pins(&fakes, Names::Prefixed);
    assert_snapshot!(modern(&hub, "tools/call", Some("roll")).await, @r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32011,"message":"the tool roll of the server dice has changed: an administrator must approve it before it can be used"}}"#);
    assert_snapshot!(modern(&hub, "tools/list", None).await, @r#"{"jsonrpc":"2.0","id":1,"result":{"odd":100000.0,"tools":[{"name":"flip","inputSchema":{"type":"object"}}],"resultType":"complete","ttlMs":60000,"cacheScope":"private","_meta":{"io.modelcontextprotocol/serverInfo":{"name":"dice-itself","version":"9"}}}}"#);
    assert_eq!(modern(&hub, "tools/call", Some("flip")).await["result"]["by"], "dice");
    words.hold(&[]);
    assert_eq!(modern(&hub, "tools/call", Some("roll")).await["result"]["by"], "dice");
}

#[tokio::test]
async fn t45_a_change_is_noticed_when_it_is_announced_and_when_it_passes_through() {
    let fakes = Fakes::new(vec![Script::new("dice").with("tools/list", &[GOOD])]);
    let (hub, _) = with_pins(&fakes, Names::Prefixed);
    let (all, one) = (Client::all(&hub, "alice").await, Client::one(&hub, "alice", "dice").await);
    assert_eq!(one.call("roll").await["by"], "dice");
    fakes.script("dice").set("tools/list", &[EVIL]);
    assert_eq!(one.tools().await, [""; 0], "not announced, but seen on its way");
    assert_refused(&one, "roll").await;
    assert_refused(&all, "dice_roll").await;

    for (list, is_trusted) in [(GOOD, true), (EVIL, false)] {
        fakes.script("dice").set("tools/list", &[list]);
        fakes.says("dice", "notifications/tools/list_changed", None);
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        // New sessions: the others' answers come with the announcement, as streams.
        let (all, one) =
            (Client::all(&hub, "alice").await, Client::one(&hub, "alice", "dice").await);
        if is_trusted {
            assert_eq!(one.call("roll").await["by"], "dice", "as it was before");
            assert_eq!(all.call("dice_roll").await["by"], "dice");
        } else {
            assert_refused(&one, "roll").await;
            assert_refused(&all, "dice_roll").await;
        }
    }
}

#[tokio::test]
async fn t45_a_tool_that_is_held_from_its_first_day_is_refused_as_such() {
    let fakes = Fakes::new(vec![Script::new("dice").with("tools/list", &[FLIP])]);
    let (hub, _) = with_pins(&fakes, Names::Prefixed);
    assert_eq!(Client::all(&hub, "alice").await.tools().await, ["dice_flip"]);
    fakes.script("dice").set("tools/list", &[FLIP, EVIL]);
    fakes.says("dice", "notifications/tools/list_changed", None);
    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    let client = Client::all(&hub, "alice").await;
    assert_eq!(client.tools().await, ["dice_flip"], "what is shown is the same");
    assert_refused(&client, "dice_roll").await;
}

#[tokio::test]
async fn t45_a_held_tool_gives_its_name_to_nobody() {
    let fakes = Fakes::new(vec![
        Script::new("a").tools(&["b_c"]),
        Script::new("a_b").with(
            "tools/list",
            &[r#"{"name":"c","description":"evil","inputSchema":{"type":"object"}}"#],
        ),
    ]);
    let (hub, words) = with_pins(&fakes, Names::Prefixed);
    let client = Client::all(&hub, "alice").await;
    assert_eq!(client.tools().await, [""; 0]);
    assert_eq!(client.error("tools/call", json!({ "name": "a_b_c" })).await.0, -32011);
    assert!(fakes.script("a").heard("tools/call").is_empty());
    words.hold(&[]);
    assert_eq!(client.call("a_b_c").await["by"], "a_b");

    let fakes = Fakes::new(vec![
        Script::new("one").with("tools/list", &[EVIL]),
        Script::new("two").with("tools/list", &[GOOD]),
    ]);
    let (hub, _) = with_pins(&fakes, Names::Plain);
    let client = Client::all(&hub, "alice").await;
    assert_eq!(client.tools().await, [""; 0], "what is listed could be called");
    assert_snapshot!(client.ask("tools/call", json!({ "name": "roll" })).await["error"], @r#"{"code":-32602,"message":"The tool `roll` is offered by several servers (one, two) and cannot be used here: use `/mcp/{server}`, or let the gateway prefix names (`names: prefixed`)"}"#);
    assert!(fakes.script("two").heard("tools/call").is_empty());
}

#[tokio::test]
async fn t45_of_two_tools_of_one_name_only_the_trusted_one_is_shown() {
    let nameless = r#"{"description":"evil without a name"}"#;
    let fakes =
        Fakes::new(vec![Script::new("dice").with("tools/list", &[GOOD, EVIL, nameless, FLIP])]);
    let (hub, _) = with_pins(&fakes, Names::Prefixed);
    let one = Client::one(&hub, "alice", "dice").await;
    assert_snapshot!(one.raw("tools/list", "{}").await, @r#"{"jsonrpc":"2.0","id":1,"result":{"odd":1.0e5,"tools":[{"name":"roll","description":"rolls","inputSchema":{"type":"object"}},{"name":"flip","inputSchema":{"type":"object"}}]}}"#);
    assert_eq!(one.call("roll").await["by"], "dice");
}

#[tokio::test]
async fn t45_what_one_person_is_shown_holds_up_nobody_else() {
    let fakes =
        Fakes::new(vec![Script::new("dice").isolated(Isolation::User).with("tools/list", &[GOOD])]);
    let (hub, _) = with_pins(&fakes, Names::Prefixed);
    let alice = Client::all(&hub, "alice").await;
    assert_eq!(alice.tools().await, ["dice_roll"]);
    fakes.script("dice").set("tools/list", &[EVIL]);
    assert_refused(&Client::all(&hub, "bob").await, "dice_roll").await;
    assert_eq!(alice.call("dice_roll").await["by"], "dice");
}

#[tokio::test]
async fn a_persons_other_clients_hear_of_an_approval() {
    let fakes = Fakes::new(vec![Script::new("dice").with("tools/list", &[EVIL, FLIP])]);
    let (hub, words) = with_pins(&fakes, Names::Prefixed);
    let (one, other) = (Client::all(&hub, "alice").await, Client::all(&hub, "alice").await);
    assert_eq!(other.tools().await, ["dice_flip"]);
    let mut heard = other.listen().await;
    words.hold(&[]);
    assert_eq!(one.tools().await, ["dice_roll", "dice_flip"]);
    assert!(heard.next().await.unwrap().contains("notifications/tools/list_changed"));
    assert_eq!(other.tools().await, ["dice_roll", "dice_flip"]);
    assert!(heard.is_silent().await, "once");
}

#[tokio::test]
async fn an_approved_tool_of_a_server_that_is_down_waits_for_it() {
    let fakes = Fakes::new(vec![Script::new("dice").with("tools/list", &[EVIL, FLIP])]);
    let (hub, words) = with_pins(&fakes, Names::Prefixed);
    let client = Client::all(&hub, "alice").await;
    assert_eq!(client.tools().await, ["dice_flip"]);
    fakes.script("dice").down.store(true, Ordering::SeqCst);
    fakes.breaks("dice");
    words.hold(&[]);
    assert_eq!(client.tools().await, ["dice_flip"], "its old list");
    fakes.script("dice").down.store(false, Ordering::SeqCst);
    tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
    assert_eq!(client.tools().await, ["dice_roll", "dice_flip"]);
}

#[tokio::test]
async fn prompts_and_resources_are_not_judged() {
    let script = Script::new("dice")
        .with("prompts/list", &[EVIL])
        .with("resources/list", &[r#"{"uri":"evil:1"}"#]);
    let fakes = Fakes::new(vec![script]);
    let (hub, _) = with_pins(&fakes, Names::Prefixed);
    let (all, one) = (Client::all(&hub, "alice").await, Client::one(&hub, "alice", "dice").await);
    assert_eq!(all.names("prompts/list", "prompts", "name").await, ["dice_roll"]);
    assert_eq!(one.names("resources/list", "resources", "uri").await, ["evil:1"]);
}
