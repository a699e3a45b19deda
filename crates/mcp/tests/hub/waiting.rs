//! A modern client's request that waits for its client's input, because its legacy server asked
//! something: the retry goes on in the process where it waits, and is told that it is lost in any
//! other. The state that it brings is good for its own request, once and for ten minutes (MCP
//! 2026-07-28, multi round-trip requests, server requirements 4 and 5). At a running gateway, with
//! its true seal: `t36_` of the gateway.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use insta::{allow_duplicates, assert_snapshot};
use portunus_core::{
    entropy::SeededEntropy,
    ids::{ClientId, UserId},
    principal::Principal,
    resource::Resource,
};
use portunus_mcp::{
    hub::{Caller, Hub, HubSettings, Servers, View},
    spec::Isolation,
    upstream::{Options, Upstreams},
};
use serde_json::{Value, json};

use super::{
    client::{Wax, until},
    fake::name,
    limits::Recorder,
    modern::Modern,
    real::support::{client, program, spec},
};

/// How long a person may think.
const THINKING: Duration = Duration::from_secs(600);

/// Answers the handshake, asks for the roots in the middle of a call, and answers that with what it
/// was told.
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
    let mut child = spec("child", program("sh", &["-c", SERVER]));
    // Its call is not over while a person thinks.
    child.request_timeout = THINKING * 10;
    child.isolation = Isolation::User;
    let specs = vec![child];
    let pool = Arc::new(Upstreams::new(specs.clone(), client(), Options::default()));
    Hub::new(
        HubSettings::default(),
        specs,
        pool as Arc<dyn Servers>,
        Arc::new(SeededEntropy::new(seed)),
        Arc::new(Wax),
    )
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

/// Ten people who think must not close a server to all others.
#[tokio::test]
async fn t47_a_call_that_waits_for_its_client_is_not_at_work_until_it_goes_on() {
    let mut client = modern(&process(1));
    let recorder = Arc::new(Recorder::default());
    client.caller.limits = Some(recorder.clone());
    let at_work = || recorder.at_work.load(Ordering::SeqCst);
    let retry = asked(&client).await;
    assert_eq!((recorder.entered.load(Ordering::SeqCst), at_work()), (1, 0), "it waits");
    assert_eq!(client.result("tools/call", retry).await["content"][0]["text"], "there");
    until("it has ended", || at_work() == 0).await;
    assert_eq!(recorder.begun.load(Ordering::SeqCst), 2, "the retry is a request");
    assert_eq!(recorder.entered.load(Ordering::SeqCst), 1, "and the call still the same");
}

#[tokio::test]
async fn elsewhere_it_is_told_that_the_request_is_lost() {
    let retry = asked(&modern(&process(1))).await;
    let elsewhere = modern(&process(2));
    assert_snapshot!(elsewhere.raw("tools/call", retry.clone()).await, @r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32603,"message":"the node that worked on this request is gone: it may or may not have run; to make it again, leave out the `requestState`","data":{"retriable":true}}}"#);
    let mut strange = retry;
    strange["name"] = json!("child_other");
    let (code, _) = elsewhere.error("tools/call", strange).await;
    assert_eq!(code, -32602, "of another request nothing is said");
}

/// The same caller with something else about them.
fn other(caller: &Caller, change: impl FnOnce(&mut Principal)) -> Caller {
    let mut principal = (*caller.principal).clone();
    change(&mut principal);
    Caller { principal: Arc::new(principal), ..caller.clone() }
}

/// What one retry of it has that the request had not; each case changes one thing alone.
struct Changed {
    what: &'static str,
    caller: Caller,
    method: &'static str,
    params: Value,
}

/// Who asks, or for what, is another one.
fn foreign(caller: &Caller, retry: &Value) -> Vec<Changed> {
    let case = |what, caller: &Caller, method, params: &Value| Changed {
        what,
        caller: caller.clone(),
        method,
        params: params.clone(),
    };
    let by = |what, change: &dyn Fn(&mut Principal)| {
        case(what, &other(caller, change), "tools/call", retry)
    };
    let with = |what, change: &dyn Fn(&mut Value)| {
        let mut params = retry.clone();
        change(&mut params);
        case(what, caller, "tools/call", &params)
    };
    let alone = Caller { view: View::One(name("child")), ..caller.clone() };
    vec![
        by("user", &|it| it.user = UserId::from_text("bob")),
        by("client", &|it| it.client = ClientId::from_text("ptn_client_other")),
        by("resource", &|it| {
            it.resource = Resource::from_stored("https://gateway.test/mcp/child".to_owned());
        }),
        case("view", &alone, "tools/call", retry),
        case("method", caller, "prompts/get", retry),
        case("method, of a tool's kind", caller, "completion/complete", retry),
        with("name", &|it| it["name"] = json!("child_other")),
        with("an argument more", &|it| {
            it["arguments"] = json!({"amount": 1, "to": "harbour", "more": null});
        }),
        with("an argument less", &|it| it["arguments"] = json!({"amount": 1})),
        with("another argument", &|it| it["arguments"] = json!({"amount": 2, "to": "harbour"})),
        with("an argument of another type", &|it| {
            it["arguments"] = json!({"amount": "1", "to": "harbour"});
        }),
        with("no arguments", &|it| it["arguments"] = json!({})),
        with("a member beside the arguments", &|it| it["task"] = json!({"ttl": 1})),
    ]
}

/// States that are none, or not quite the one that was given out.
fn altered(state: &str) -> Vec<String> {
    let mut altered = vec![
        "ptn-rs1.".to_owned(),
        format!("{state}A"),
        format!("{state}="),
        state.replacen("ptn-rs1.", "ptn-rs1..", 1),
    ];
    for at in (8..state.len()).step_by(7) {
        let mut bytes = state.as_bytes().to_vec();
        bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
        altered.push(String::from_utf8(bytes).unwrap());
        altered.push(state[..at].to_owned());
    }
    altered
}

/// Asks with arguments, and gives the retry.
async fn asked_with_arguments(client: &Modern) -> Value {
    let arguments = json!({"amount": 1, "to": "harbour"});
    let asked =
        client.result("tools/call", json!({"name": "child_where", "arguments": arguments})).await;
    let question = asked["inputRequests"].as_object().unwrap().keys().next().unwrap();
    let answers = json!({question: {"roots": []}});
    json!({"name": "child_where", "arguments": arguments, "requestState": asked["requestState"], "inputResponses": answers})
}

/// The request goes on with this.
async fn goes_on(client: &Modern, retry: Value) {
    assert_eq!(client.result("tools/call", retry).await["content"][0]["text"], "there");
}

#[tokio::test]
async fn a_state_is_good_for_its_own_request_alone() {
    let hub = process(1);
    let mut client = modern(&hub);
    let (caller, retry) = (client.caller.clone(), asked_with_arguments(&client).await);
    for Changed { what, caller, method, params } in foreign(&caller, &retry) {
        client.caller = caller;
        let (code, message) = client.error(method, params).await;
        allow_duplicates! {
            assert_snapshot!(format!("{code} {message}"), what, @"-32602 the `requestState` is not valid for this request: altered, used already, or too old. Begin again without it");
        }
    }
    client.caller = caller;
    for state in altered(retry["requestState"].as_str().unwrap()) {
        let mut params = retry.clone();
        params["requestState"] = state.clone().into();
        let (code, message) = client.error("tools/call", params).await;
        assert_eq!(code, -32602, "{state}: {message}");
    }
    // What they tried has changed nothing: it is good still, however it is spelt and whatever is
    // beside it.
    let mut spelt = retry.clone();
    spelt["arguments"] = json!({"to": "harbour", "amount": 1});
    goes_on(&client, spelt).await;
    let (code, message) = client.error("tools/call", retry).await;
    assert_eq!(code, -32602, "once: {message}");
}

#[tokio::test]
async fn a_state_is_good_for_ten_minutes() {
    for (waited, is_good) in [
        (THINKING.abs_diff(Duration::from_secs(1)), true),
        (THINKING + Duration::from_secs(1), false),
    ] {
        let client = modern(&process(1));
        let retry = asked_with_arguments(&client).await;
        tokio::time::pause();
        tokio::time::advance(waited).await;
        tokio::time::resume();
        if is_good {
            goes_on(&client, retry).await;
        } else {
            let (code, message) = client.error("tools/call", retry).await;
            assert_eq!(code, -32602, "{message}");
        }
    }
}

#[tokio::test]
async fn of_many_retries_at_once_one_goes_on() {
    let client = Arc::new(modern(&process(1)));
    let retry = asked_with_arguments(&client).await;
    let retries = (0..20).map(|_| {
        let (client, retry) = (Arc::clone(&client), retry.clone());
        async move { serde_json::from_str::<Value>(&client.raw("tools/call", retry).await).unwrap() }
    });
    let answers = futures::future::join_all(retries).await;
    let went_on =
        answers.iter().filter(|answer| answer["result"]["content"][0]["text"] == "there").count();
    let refused = answers.iter().filter(|answer| answer["error"]["code"] == -32602).count();
    assert_eq!((went_on, refused), (1, 19), "{answers:?}");
}

#[tokio::test]
async fn another_persons_process_gives_nothing_away_about_a_state() {
    let here = modern(&process(1));
    let retry = asked_with_arguments(&here).await;
    let mut elsewhere = modern(&process(2));
    // Whose it is learns that it is lost; whose it is not learns nothing.
    assert_snapshot!(elsewhere.raw("tools/call", retry.clone()).await, @r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32603,"message":"the node that worked on this request is gone: it may or may not have run; to make it again, leave out the `requestState`","data":{"retriable":true}}}"#);
    let caller = elsewhere.caller.clone();
    for Changed { what, caller, method, params } in foreign(&caller, &retry) {
        elsewhere.caller = caller;
        let (code, message) = elsewhere.error(method, params).await;
        assert_eq!(code, -32602, "{what}: {message}");
    }
    goes_on(&here, retry).await;
}
