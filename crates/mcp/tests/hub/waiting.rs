//! A modern client's request that waits for its client's input, because its legacy server asked something: the retry goes on in the process where
//! it waits, and is told that it is lost in any other.

use std::sync::Arc;

use portunus_core::entropy::SeededEntropy;
use portunus_mcp::{
    hub::{Hub, HubSettings, Servers},
    upstream::{Options, Upstreams},
};
use serde_json::{Value, json};

use super::{
    client::Wax,
    modern::Modern,
    real::support::{client, program, spec},
};

/// Answers the handshake, asks for the roots in the middle of a call, and answers that with what it was told.
const SERVER: &str = r#"
    read probe; echo '{"jsonrpc":"2.0","id":1,"error":{"code":-32601,"message":"?"}}'
    read hello; echo '{"jsonrpc":"2.0","id":2,"result":{"protocolVersion":"2025-06-18","capabilities":{"tools":{}},"serverInfo":{"name":"s","version":"1"}}}'
    read initialized
    while read -r line; do case "$line" in
        *tools/list*) id=${line#*\"id\":}; echo "{\"jsonrpc\":\"2.0\",\"id\":${id%%,*},\"result\":{\"tools\":[{\"name\":\"where\",\"inputSchema\":{\"type\":\"object\"}}]}}" ;;
        *tools/call*) call=${line#*\"id\":}; call=${call%%,*}; echo '{"jsonrpc":"2.0","id":"q","method":"roots/list"}' ;;
        *\"q\"*) echo "{\"jsonrpc\":\"2.0\",\"id\":$call,\"result\":{\"content\":[{\"type\":\"text\",\"text\":\"there\"}]}}" ;;
    esac; done"#;

fn process(seed: u64) -> Arc<Hub> {
    let specs = vec![spec("child", program("sh", &["-c", SERVER]))];
    let pool = Arc::new(Upstreams::new(specs.clone(), client(), Options::default()));
    Hub::new(HubSettings::default(), specs, pool as Arc<dyn Servers>, Arc::new(SeededEntropy::new(seed)), Arc::new(Wax))
}

fn modern(hub: &Arc<Hub>) -> Modern {
    let mut modern = Modern::all(hub, "alice");
    modern.capabilities = json!({"roots": {}});
    modern
}

/// Asks, and gives the retry that the client would make of what it was asked.
async fn asked(client: &Modern) -> Value {
    let call = json!({"name": "child_where", "arguments": {}});
    let asked = client.result("tools/call", call.clone()).await;
    assert_eq!(asked["resultType"], "input_required", "{asked}");
    let question = asked["inputRequests"].as_object().unwrap().keys().next().unwrap();
    let answers = json!({question: {"roots": [{"uri": "file:///here"}]}});
    json!({"name": call["name"], "arguments": call["arguments"], "requestState": asked["requestState"], "inputResponses": answers})
}

#[tokio::test]
async fn a_retry_goes_on_where_its_request_waits_once() {
    let client = modern(&process(1));
    let retry = asked(&client).await;
    assert_eq!(client.result("tools/call", retry.clone()).await["content"][0]["text"], "there");
    let (code, _) = client.error("tools/call", retry).await;
    assert_eq!(code, -32602, "once");
}

#[tokio::test]
async fn elsewhere_it_is_told_that_the_request_is_lost() {
    let retry = asked(&modern(&process(1))).await;
    let elsewhere = modern(&process(2));
    let answer: Value = serde_json::from_str(&elsewhere.raw("tools/call", retry.clone()).await).unwrap();
    assert_eq!(answer["error"]["data"]["retriable"], true, "{answer}");
    let mut strange = retry;
    strange["name"] = json!("child_other");
    let (code, _) = elsewhere.error("tools/call", strange).await;
    assert_eq!(code, -32602, "of another request nothing is said");
}
