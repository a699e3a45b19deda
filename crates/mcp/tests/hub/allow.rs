//! Policy guards every call and every list (threat 32), and what is not allowed looks as if it were
//! not there.

use portunus_core::{access::ToolHints, ids::ServerName};
use portunus_mcp::{
    allow::{Allow, CalledWith, Verdict},
    hub::{HubSettings, Names, View},
};
use serde_json::{Value, json};

use super::{
    client::{Client, caller, hub, initialize},
    fake::{Fakes, Script, name},
};

/// Refuses one server, and everything called `secret`.
#[derive(Clone)]
struct NoSecrets;

impl Allow for NoSecrets {
    fn server(&self, server: &ServerName) -> Verdict {
        (server.as_str() != "hidden").into()
    }
    fn tool(&self, _: &ServerName, name: &str, _: ToolHints, _: CalledWith<'_>) -> Verdict {
        (name != "secret").into()
    }
    fn prompt(&self, _: &ServerName, name: &str, _: CalledWith<'_>) -> Verdict {
        (name != "secret").into()
    }
    fn resource(&self, _: &ServerName, uri: &str) -> Verdict {
        (!uri.starts_with("secret:")).into()
    }
    fn method(&self, _: &ServerName, method: &str) -> Verdict {
        (method != "secret/method").into()
    }
}

fn server(text: &str) -> Script {
    Script::new(text)
        .tools(&["open", "secret"])
        .with("prompts/list", &[r#"{"name":"open"}"#, r#"{"name":"secret"}"#])
        .with("resources/list", &[r#"{"uri":"open:a"}"#, r#"{"uri":"secret:a"}"#])
        .with(
            "resources/templates/list",
            &[r#"{"uriTemplate":"open:{x}"}"#, r#"{"uriTemplate":"secret:{x}"}"#],
        )
}

fn forbidden(prefix: &str) -> Vec<(&'static str, Value)> {
    let name = format!("{prefix}secret");
    vec![
        ("tools/call", json!({ "name": name })),
        ("prompts/get", json!({ "name": name })),
        ("resources/read", json!({ "uri": "secret:a" })),
        ("resources/read", json!({ "uri": "secret:unlisted" })),
        ("resources/subscribe", json!({ "uri": "secret:a" })),
        ("resources/unsubscribe", json!({ "uri": "secret:a" })),
        ("completion/complete", json!({"ref": {"type": "ref/prompt", "name": name}})),
        ("completion/complete", json!({"ref": {"type": "ref/resource", "uri": "secret:{x}"}})),
    ]
}

#[tokio::test]
async fn t32_every_call_and_every_list_is_guarded() {
    let fakes = Fakes::new(vec![server("files"), server("hidden")]);
    let hub = hub(&fakes, HubSettings::default());
    for (view, prefix) in [(View::All, "files_"), (View::One(name("files")), "")] {
        let client = Client::allowed(&hub, view, NoSecrets).await;
        assert_eq!(client.tools().await, [format!("{prefix}open")]);
        assert_eq!(
            client.names("prompts/list", "prompts", "name").await,
            [format!("{prefix}open")]
        );
        assert_eq!(client.names("resources/list", "resources", "uri").await, ["open:a"]);
        assert_eq!(
            client.names("resources/templates/list", "resourceTemplates", "uriTemplate").await,
            ["open:{x}"]
        );
        let before = fakes.script("files").heard.lock().unwrap().len();
        for (method, params) in forbidden(prefix) {
            let (code, message) = client.error(method, params.clone()).await;
            assert!(matches!(code, -32602 | -32002), "{method} {params}: {code} {message}");
        }
        assert_eq!(
            fakes.script("files").heard.lock().unwrap().len(),
            before,
            "the server heard of none of it"
        );
        assert_eq!(client.call(&format!("{prefix}open")).await["by"], "files");
    }
    assert!(
        fakes.script("hidden").heard.lock().unwrap().is_empty(),
        "a hidden server is not even asked"
    );
}

#[tokio::test]
async fn what_is_forbidden_looks_like_what_is_not_there() {
    let hub = hub(&Fakes::new(vec![server("files"), server("hidden")]), HubSettings::default());
    let client = Client::allowed(&hub, View::All, NoSecrets).await;
    let refusal = async |tool: &str| {
        let (code, message) = client.error("tools/call", json!({ "name": tool })).await;
        (code, message.replace(tool, "X"))
    };
    let absent = refusal("files_absent").await;
    for forbidden in ["files_secret", "hidden_open", "hidden_secret"] {
        assert_eq!(refusal(forbidden).await, absent, "{forbidden}");
    }
    let mut caller = caller("alice", View::One(name("hidden")));
    caller.allow = std::sync::Arc::new(NoSecrets);
    assert_eq!(initialize(&hub, &caller, "2025-06-18").await.status, http::StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_decision_that_changes_holds_from_the_next_request_on() {
    let fakes = Fakes::new(vec![server("files"), server("hidden")]);
    let hub = hub(&fakes, HubSettings::default());
    let mut client = Client::all(&hub, "alice").await;
    client.call("hidden_open").await;
    client.caller.allow = std::sync::Arc::new(NoSecrets);
    let mut stream = client.listen().await;
    assert_eq!(client.error("tools/call", json!({ "name": "hidden_open" })).await.0, -32602);
    assert_eq!(client.tools().await, ["files_open"]);
    fakes.says("hidden", "notifications/tools/list_changed", None);
    assert!(stream.is_silent().await, "nor is anything heard of it any more");
}

/// Allows tools that only read.
struct Reading;

impl Allow for Reading {
    fn server(&self, _: &ServerName) -> Verdict {
        Verdict::Allowed
    }
    fn tool(&self, _: &ServerName, _: &str, hints: ToolHints, _: CalledWith<'_>) -> Verdict {
        hints.read_only.into()
    }
    fn prompt(&self, _: &ServerName, _: &str, _: CalledWith<'_>) -> Verdict {
        Verdict::Hidden
    }
    fn resource(&self, _: &ServerName, _: &str) -> Verdict {
        Verdict::Hidden
    }
    fn method(&self, _: &ServerName, _: &str) -> Verdict {
        Verdict::Hidden
    }
    fn asks_hints(&self) -> bool {
        true
    }
}

#[tokio::test]
async fn t32_whether_a_tool_only_reads_is_looked_up_before_a_call() {
    let listed = [
        r#"{"name":"look","annotations":{"readOnlyHint":true},"inputSchema":{"type":"object"}}"#,
        r#"{"name":"write","annotations":{"readOnlyHint":false},"inputSchema":{"type":"object"}}"#,
        r#"{"name":"silent","inputSchema":{"type":"object"}}"#,
    ];
    for names in [Names::Prefixed, Names::Plain] {
        for (view, prefix) in [(View::All, "files_"), (View::One(name("files")), "")] {
            let prefix = if names == Names::Plain { "" } else { prefix };
            let fakes = Fakes::new(vec![Script::new("files").with("tools/list", &listed)]);
            let hub = hub(&fakes, HubSettings { names, ..HubSettings::default() });
            // Nothing was listed before.
            let client = Client::allowed(&hub, view, Reading).await;
            assert_eq!(client.call(&format!("{prefix}look")).await["by"], "files");
            for tool in ["write", "silent", "absent"] {
                let params = json!({ "name": format!("{prefix}{tool}") });
                assert_eq!(client.error("tools/call", params).await.0, -32602, "{tool}");
            }
            assert_eq!(client.tools().await, [format!("{prefix}look")]);
        }
    }
}

#[tokio::test]
async fn clients_are_told_that_they_may_use_other_things() {
    let fakes = Fakes::new(vec![server("files"), server("hidden")]);
    let hub = hub(&fakes, HubSettings::default());
    let client = Client::all(&hub, "alice").await;
    let mut stream = client.listen().await;
    hub.permissions_changed();
    let told = stream.next().await.unwrap();
    assert!(told.contains("notifications/tools/list_changed"), "{told}");
}
