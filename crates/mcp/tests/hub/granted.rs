//! What the person may use and has not granted to the client: lists leave it out, calls are refused
//! with 403 and say what was wanted, so that the client can ask for it.

use http::StatusCode;
use portunus_core::{access::ToolHints, ids::ServerName};
use portunus_mcp::{
    allow::{Allow, CalledWith, Unmet, Verdict},
    answer::{Refused, Wanted},
    hub::{HubSettings, Names, View},
};
use serde_json::{Value, json};

use super::{
    client::{Client, caller, hub, initialize, text},
    fake::{Fakes, Script, name},
};

/// Granted: what is called `open` on the first server. Not for this person: what is called
/// `secret`.
#[derive(Clone)]
struct Part;

impl Part {
    fn of(server: &ServerName, id: &str) -> Verdict {
        match (server.as_str(), id) {
            (_, id) if id.starts_with("secret") => Verdict::Hidden,
            (_, id) if id.starts_with("stale") => Verdict::Unmet(Unmet::SignIn),
            ("first", id) if id.starts_with("open") => Verdict::Allowed,
            _ => Verdict::NotGranted,
        }
    }
}

impl Allow for Part {
    fn server(&self, server: &ServerName) -> Verdict {
        if server.as_str() == "first" { Verdict::Allowed } else { Verdict::NotGranted }
    }
    fn tool(&self, server: &ServerName, name: &str, _: ToolHints, _: CalledWith<'_>) -> Verdict {
        Self::of(server, name)
    }
    fn prompt(&self, server: &ServerName, name: &str, _: CalledWith<'_>) -> Verdict {
        Self::of(server, name)
    }
    fn resource(&self, server: &ServerName, uri: &str) -> Verdict {
        Self::of(server, uri)
    }
    fn method(&self, _: &ServerName, _: &str) -> Verdict {
        Verdict::NotGranted
    }
}

fn server(text: &str) -> Script {
    Script::new(text)
        .tools(&["open", "closed", "secret", &format!("only_{text}")])
        .with("prompts/list", &[r#"{"name":"open"}"#, r#"{"name":"closed"}"#])
        .with(
            "resources/list",
            &[&format!(r#"{{"uri":"open:{text}"}}"#), &format!(r#"{{"uri":"closed:{text}"}}"#)],
        )
        .with("resources/templates/list", &[&format!(r#"{{"uriTemplate":"closed-{text}:{{x}}"}}"#)])
}

fn wanted(server: &str, what: Wanted) -> Refused {
    Refused { server: name(server), what }
}

async fn refusal(client: &Client, method: &str, params: &Value) -> Option<Refused> {
    let answer = client
        .post(&json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).to_string())
        .await;
    let refused = answer.refused.clone();
    assert_eq!(answer.status == StatusCode::FORBIDDEN, refused.is_some(), "{method} {params}");
    let message: Value = serde_json::from_str(&text(answer)).unwrap();
    assert_eq!(
        (&message["id"], message["error"]["code"] == -32010),
        (&json!(1), refused.is_some()),
        "{message}"
    );
    refused
}

#[tokio::test]
async fn t32_a_call_that_was_not_granted_is_refused_as_what_it_is() {
    let fakes = Fakes::new(vec![server("first"), server("second")]);
    let hub = hub(&fakes, HubSettings::default());
    let tool = |text: &str| Wanted::Tool(text.to_owned());
    let prompt = |text: &str| Wanted::Prompt(text.to_owned());
    let resource = |text: &str| Wanted::Resource(text.to_owned());
    for (view, prefix) in [(View::All, "first_"), (View::One(name("first")), "")] {
        let client = Client::allowed(&hub, view.clone(), Part).await;
        assert_eq!(client.tools().await, [format!("{prefix}open")]);
        assert_eq!(
            client.names("prompts/list", "prompts", "name").await,
            [format!("{prefix}open")]
        );
        assert_eq!(client.names("resources/list", "resources", "uri").await, ["open:first"]);
        assert!(
            client
                .names("resources/templates/list", "resourceTemplates", "uriTemplate")
                .await
                .is_empty()
        );
        let before = fakes.script("first").heard.lock().unwrap().len();
        let name = |text: &str| json!({ "name": format!("{prefix}{text}") });
        let cases = [
            ("tools/call", name("closed"), Some(tool("closed"))),
            ("prompts/get", name("closed"), Some(prompt("closed"))),
            ("resources/read", json!({"uri": "closed:first"}), Some(resource("closed:first"))),
            ("resources/subscribe", json!({"uri": "closed:first"}), Some(resource("closed:first"))),
            (
                "resources/unsubscribe",
                json!({"uri": "closed:first"}),
                Some(resource("closed:first")),
            ),
            (
                "completion/complete",
                json!({"ref": {"type": "ref/prompt", "name": name("closed")["name"]}}),
                Some(prompt("closed")),
            ),
            (
                "completion/complete",
                json!({"ref": {"type": "ref/resource", "uri": "closed-first:{x}"}}),
                Some(resource("closed-first:{x}")),
            ),
            ("tools/call", name("secret"), None),
            ("resources/read", json!({"uri": "secret:first"}), None),
        ];
        for (method, params, expected) in cases {
            let found = refusal(&client, method, &params).await;
            assert_eq!(
                found,
                expected.map(|what| wanted("first", what)),
                "{view:?} {method} {params}"
            );
        }
        assert_eq!(
            fakes.script("first").heard.lock().unwrap().len(),
            before,
            "the server heard of none of it"
        );
        assert_eq!(client.call(&format!("{prefix}open")).await["by"], "first");
    }
}

#[tokio::test]
async fn a_server_that_was_not_granted_is_named_without_being_asked() {
    let fakes = Fakes::new(vec![server("first"), server("second")]);
    let client = Client::allowed(&hub(&fakes, HubSettings::default()), View::All, Part).await;
    for (tool, expected) in [
        ("second_open", Some(wanted("second", Wanted::Tool("open".to_owned())))),
        ("second_absent", Some(wanted("second", Wanted::Tool("absent".to_owned())))),
        ("second_secret", None),
        ("third_open", None),
        ("first_absent", None),
    ] {
        assert_eq!(
            refusal(&client, "tools/call", &json!({ "name": tool })).await,
            expected,
            "{tool}"
        );
    }
    assert!(fakes.script("second").heard.lock().unwrap().is_empty());
    let read = refusal(&client, "resources/read", &json!({"uri": "closed:second"})).await;
    assert_eq!(read, Some(wanted("second", Wanted::Resource("closed:second".to_owned()))));
    let caller = caller("alice", View::One(name("second")));
    let answer = initialize(
        &client.hub,
        &portunus_mcp::hub::Caller { allow: std::sync::Arc::new(Part), ..caller },
        "2025-06-18",
    )
    .await;
    assert_eq!(
        (answer.status, answer.refused),
        (StatusCode::FORBIDDEN, Some(wanted("second", Wanted::Server)))
    );
}

#[tokio::test]
async fn plain_names_find_the_server_that_was_not_granted() {
    let fakes = Fakes::new(vec![server("first"), server("second")]);
    let settings = HubSettings { names: Names::Plain, ..HubSettings::default() };
    let client = Client::allowed(&hub(&fakes, settings), View::All, Part).await;
    assert_eq!(client.tools().await, ["open"]);
    for (tool, expected) in [
        ("only_second", Some(wanted("second", Wanted::Tool("only_second".to_owned())))),
        ("only_first", Some(wanted("first", Wanted::Tool("only_first".to_owned())))),
        ("secret", None),
        ("absent", None),
    ] {
        assert_eq!(
            refusal(&client, "tools/call", &json!({ "name": tool })).await,
            expected,
            "{tool}"
        );
    }
    let (code, message) = client.error("tools/call", json!({"name": "stale"})).await;
    assert_eq!(code, -32012, "a sign-in would do: {message}");
}

#[tokio::test]
async fn methods_beyond_the_parts_need_the_whole_server() {
    let fakes = Fakes::new(vec![server("first")]);
    let client =
        Client::allowed(&hub(&fakes, HubSettings::default()), View::One(name("first")), Part).await;
    assert_eq!(refusal(&client, "x/wipe", &json!({})).await, Some(wanted("first", Wanted::Server)));
    assert_eq!(
        refusal(&client, "completion/complete", &json!({})).await,
        Some(wanted("first", Wanted::Server))
    );
    assert_eq!(client.notify("notifications/x", "{}").await.status, StatusCode::FORBIDDEN);
    assert_eq!(
        client.notify("notifications/roots/list_changed", "{}").await.status,
        StatusCode::ACCEPTED
    );
    assert!(
        fakes.script("first").heard("x/wipe").is_empty()
            && fakes.script("first").heard("notifications/x").is_empty()
    );
}
