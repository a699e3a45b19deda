//! Tools, prompts, templates and instructions that changed (threat 45), judged by pins that a test
//! writes down: where they are missing, what their calls are answered with, and when they come
//! back.

use std::sync::{Arc, Mutex, atomic::Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use http::HeaderName;
use insta::{allow_duplicates, assert_snapshot};
use portunus_core::{ids::ServerName, pins::PinKind};
use portunus_mcp::{
    hub::{Hub, HubSettings, Names, View},
    pins::{ItemPins, Trust},
    spec::Isolation,
    wire::Payload,
};
use serde_json::{Value, json};

use super::{
    client::{Client, caller, headers, hub, text},
    fake::{Fakes, Script, name},
};

/// Holds everything whose text has one of these words in it.
#[derive(Debug, Default)]
struct Words(Mutex<Vec<&'static str>>);

impl Words {
    fn hold(&self, words: &[&'static str]) {
        *self.0.lock().unwrap() = words.to_vec();
    }
}

#[async_trait]
impl ItemPins for Words {
    fn holds(&self, _: &ServerName) -> bool {
        true
    }

    async fn judge(&self, _: &ServerName, _: PinKind, items: &[Payload]) -> Vec<Trust> {
        let words = self.0.lock().unwrap();
        let held = |item: &Payload| words.iter().any(|word| item.as_str().contains(word));
        items.iter().map(|item| if held(item) { Trust::Hold } else { Trust::Pass }).collect()
    }
}

fn with_pins(fakes: &Arc<Fakes>, names: Names) -> (Arc<Hub>, Arc<Words>) {
    let words = Arc::new(Words::default());
    words.hold(&["evil"]);
    let settings = HubSettings {
        names,
        pins: Arc::clone(&words) as Arc<dyn ItemPins>,
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
    modern_at(hub, "dice", method, tool).await
}

async fn modern_at(hub: &Arc<Hub>, server: &str, method: &str, tool: Option<&str>) -> Value {
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
    let answer = hub.post(caller("alice", View::One(name(server))), &map, Bytes::from(body)).await;
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

const TEMPLATES: [&str; 2] =
    [r#"{"uriTemplate":"evil:{x}","name":"x"}"#, r#"{"uriTemplate":"good:{x}","name":"y"}"#];

#[tokio::test]
async fn t45_held_prompts_and_templates_are_missing_and_refused_until_they_are_approved() {
    let script = Script::new("dice")
        .with("prompts/list", &[EVIL, r#"{"name":"flip"}"#])
        .with("resources/templates/list", &TEMPLATES);
    let fakes = Fakes::new(vec![script]);
    let (hub, words) = with_pins(&fakes, Names::Prefixed);
    let (all, one) = (Client::all(&hub, "alice").await, Client::one(&hub, "alice", "dice").await);
    let lists = async |client: &Client| {
        let prompts = client.names("prompts/list", "prompts", "name").await;
        let member = "resourceTemplates";
        (prompts, client.names("resources/templates/list", member, "uriTemplate").await)
    };
    let ways = |prompt: &str| {
        [
            ("prompts/get", json!({ "name": prompt })),
            ("completion/complete", json!({"ref": {"type": "ref/prompt", "name": prompt}})),
            ("completion/complete", json!({"ref": {"type": "ref/resource", "uri": "evil:{x}"}})),
        ]
    };
    for (client, prompt, other) in [(&all, "dice_roll", "dice_flip"), (&one, "roll", "flip")] {
        assert_eq!(lists(client).await, (vec![other.to_owned()], vec!["good:{x}".to_owned()]));
        for (method, params) in ways(prompt) {
            let (code, text) = client.error(method, params.clone()).await;
            assert!(code == -32011 && text.contains("must approve it"), "{method}: {code} {text}");
        }
        client.result("prompts/get", json!({ "name": other })).await;
    }
    for method in ["prompts/get", "completion/complete"] {
        let heard = fakes.script("dice").heard(method);
        assert!(heard.iter().all(|params| params.contains("flip")), "{heard:?}");
    }
    words.hold(&[]);
    for (client, prompt) in [(&all, "dice_roll"), (&one, "roll")] {
        assert_eq!(lists(client).await.0.len(), 2);
        for (method, params) in ways(prompt) {
            client.result(method, params).await;
        }
    }
}

#[tokio::test]
async fn t45_instructions_that_changed_are_left_out_until_they_are_approved() {
    for era in ["legacy", "modern"] {
        let dice = Script::new("dice");
        let dice = if era == "modern" { dice.modern(r#"{"tools":{}}"#) } else { dice };
        let dice = Script { instructions: Some("evil words".to_owned()), ..dice };
        let uuid = Script { instructions: Some("good words".to_owned()), ..Script::new("uuid") };
        let fakes = Fakes::new(vec![dice, uuid]);
        let (hub, words) = with_pins(&fakes, Names::Prefixed);
        let told = async |server: &str| {
            let one = Client::one(&hub, "alice", server).await.hello["result"].take();
            let modern = modern_at(&hub, server, "server/discover", None).await["result"].take();
            [one, modern].map(|result| result["instructions"].as_str().map(str::to_owned))
        };
        let merged = async || {
            let hello = Client::all(&hub, "alice").await.hello["result"].take();
            hello["instructions"].as_str().unwrap().to_owned()
        };
        assert_eq!(told("dice").await, [None, None], "{era}");
        assert_eq!(told("uuid").await, [(); 2].map(|()| Some("good words".to_owned())), "{era}");
        assert_eq!(merged().await, "## uuid\ngood words", "{era}");
        words.hold(&[]);
        assert_eq!(told("dice").await, [(); 2].map(|()| Some("evil words".to_owned())), "{era}");
        assert_eq!(merged().await, "## dice\nevil words\n\n## uuid\ngood words", "{era}");
    }
}

#[tokio::test]
async fn t45_a_legacy_client_cannot_have_a_server_discovered_past_its_pins() {
    let dice = Script::new("dice").modern(r#"{"tools":{}}"#);
    let fakes = Fakes::new(vec![Script { instructions: Some("evil".to_owned()), ..dice }]);
    let (hub, _) = with_pins(&fakes, Names::Prefixed);
    let one = Client::one(&hub, "alice", "dice").await;
    assert_eq!(one.error("server/discover", json!({})).await.0, -32601);
    assert!(fakes.script("dice").heard("server/discover").is_empty());
}

#[tokio::test]
async fn resources_are_not_judged() {
    let script = Script::new("dice").with("resources/list", &[r#"{"uri":"evil:1"}"#]);
    let fakes = Fakes::new(vec![script]);
    let (hub, _) = with_pins(&fakes, Names::Prefixed);
    let one = Client::one(&hub, "alice", "dice").await;
    assert_eq!(one.names("resources/list", "resources", "uri").await, ["evil:1"]);
    one.result("resources/read", json!({"uri": "evil:1"})).await;
}
