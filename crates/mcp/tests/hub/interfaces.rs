//! MCP Apps on `/mcp`: a tool's user interface is a resource that its server need not list.

use std::sync::{Arc, atomic::Ordering};

use portunus_core::{access::ToolHints, ids::ServerName};
use portunus_mcp::{
    allow::{Allow, CalledWith, Verdict},
    hub::{HubSettings, View},
};
use serde_json::json;

use super::{
    client::{Client, hub},
    fake::{Fakes, Script},
    modern::Modern,
};

const UI: &str = r#"{"tools":{},"resources":{},"extensions":{"io.modelcontextprotocol/ui":{}}}"#;
const CLOCK: &str = r#"{"name":"time","inputSchema":{"type":"object"},"_meta":{ "ui":{"resourceUri":"ui://clock/face.html","visibility":["model","app"]},"n":1.0e5}}"#;
const OLD: &str =
    r#"{"name":"old","inputSchema":{"type":"object"},"_meta":{"ui/resourceUri":"ui://old/x"}}"#;

fn apps() -> Arc<Fakes> {
    Fakes::new(vec![
        Script::new("files").with(
            "resources/list",
            &[r#"{"uri":"ui://clock/face.html"}"#, r#"{"uri":"ui://listed"}"#],
        ),
        Script::new("clock").with("tools/list", &[CLOCK]).declaring(UI),
        Script::new("old").with("tools/list", &[OLD]).declaring(UI),
    ])
}

#[tokio::test]
async fn an_interface_is_read_from_the_server_whose_tool_names_it() {
    let fakes = apps();
    let client = Client::all(&hub(&fakes, HubSettings::default()), "alice").await;
    let tools = client.raw("tools/list", "{}").await;
    assert!(
        tools.contains(&CLOCK.replace("\"time\"", "\"clock_time\"")),
        "only the name changes: {tools}"
    );
    for (uri, server) in
        [("ui://clock/face.html", "clock"), ("ui://old/x", "old"), ("ui://listed", "files")]
    {
        assert_eq!(
            client.result("resources/read", json!({ "uri": uri })).await["by"],
            server,
            "{uri}"
        );
    }
    assert_eq!(client.error("resources/read", json!({"uri": "ui://clock/other"})).await.0, -32002);
    let modern = Modern::all(&client.hub, "alice");
    assert_eq!(modern.result("resources/read", json!({"uri": "ui://old/x"})).await["by"], "old");
    let declared =
        modern.result("server/discover", json!({})).await["capabilities"]["extensions"].take();
    assert_eq!(declared, json!({"io.modelcontextprotocol/ui": {}}));
}

#[tokio::test]
async fn two_servers_of_one_kind_have_one_interface() {
    let script = |name| Script::new(name).with("tools/list", &[CLOCK]).declaring(UI);
    let fakes = Fakes::new(vec![script("a"), script("b")]);
    fakes.script("a").down.store(true, Ordering::SeqCst);
    let client = Client::all(&hub(&fakes, HubSettings::default()), "alice").await;
    assert_eq!(
        client.result("resources/read", json!({"uri": "ui://clock/face.html"})).await["by"],
        "b"
    );
}

/// Neither the tool nor the resource, as the case may be.
#[derive(Clone)]
struct Without(&'static str, Verdict);

impl Allow for Without {
    fn server(&self, _: &ServerName) -> Verdict {
        Verdict::Allowed
    }
    fn tool(&self, _: &ServerName, name: &str, _: ToolHints, _: CalledWith<'_>) -> Verdict {
        if name == self.0 { self.1 } else { Verdict::Allowed }
    }
    fn prompt(&self, _: &ServerName, _: &str, _: CalledWith<'_>) -> Verdict {
        Verdict::Allowed
    }
    fn resource(&self, _: &ServerName, uri: &str) -> Verdict {
        if uri == self.0 { self.1 } else { Verdict::Allowed }
    }
    fn method(&self, _: &ServerName, _: &str) -> Verdict {
        Verdict::Allowed
    }
}

#[tokio::test]
async fn t32_an_interface_is_guarded_like_its_tool_and_like_a_resource() {
    let fakes = apps();
    let hub = hub(&fakes, HubSettings::default());
    for (without, verdict) in
        [("old", Verdict::Hidden), ("old", Verdict::NotGranted), ("ui://old/x", Verdict::Hidden)]
    {
        let client = Client::allowed(&hub, View::All, Without(without, verdict)).await;
        assert_eq!(
            client.error("resources/read", json!({"uri": "ui://old/x"})).await.0,
            -32002,
            "{without}"
        );
    }
    let client = Client::allowed(&hub, View::All, Without("ui://old/x", Verdict::NotGranted)).await;
    let answer = client
        .post(r#"{"jsonrpc":"2.0","id":1,"method":"resources/read","params":{"uri":"ui://old/x"}}"#)
        .await;
    assert_eq!(answer.status, http::StatusCode::FORBIDDEN);
    assert!(fakes.scripts.iter().all(|script| script.heard("resources/read").is_empty()));
}
