//! What a server over HTTP says reaches its client as it was said: code, message and data of an
//! error with whichever status it comes, the words of a refusal that is no JSON-RPC, and progress
//! on a stream apart from its answer (FB85).

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::State,
    http::{Method, StatusCode},
    response::{IntoResponse as _, Response},
    routing::any,
};
use insta::assert_snapshot;
use portunus_core::entropy::SeededEntropy;
use portunus_mcp::{
    hub::{Hub, HubSettings, Servers, View},
    spec::{Isolation, ServerSpec, Transport},
    upstream::{Options, Upstreams},
    wire::{self, Message},
};
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::broadcast};

use super::{
    client::{Client, Wax, caller},
    fake::name,
    modern::Modern,
    real::support,
};

/// What goes onto the GET streams.
type Aside = broadcast::Sender<String>;

/// A legacy server that answers in JSON. A call's arguments say how: `status` and `body`, or
/// `progress` before or after its answer.
async fn start() -> (Arc<Hub>, Arc<Upstreams>) {
    let aside: Aside = broadcast::channel(16).0;
    let router = Router::new().route("/mcp", any(answer)).with_state(aside);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/mcp", listener.local_addr().unwrap()).parse().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    let specs = vec![ServerSpec {
        isolation: Isolation::User,
        ..support::spec("web", Transport::Http { url, headers: Vec::new() })
    }];
    let pool = Arc::new(Upstreams::new(specs.clone(), support::client(), Options::default()));
    let servers = Arc::clone(&pool) as Arc<dyn Servers>;
    (
        Hub::new(
            HubSettings::default(),
            specs,
            servers,
            Arc::new(SeededEntropy::new(1)),
            Arc::new(Wax),
        ),
        pool,
    )
}

fn json_answer(status: StatusCode, body: String) -> Response {
    (status, [("content-type", "application/json"), ("mcp-session-id", "s-1")], body)
        .into_response()
}

async fn answer(State(aside): State<Aside>, method: Method, body: Bytes) -> Response {
    if method == Method::GET {
        let told = futures::stream::unfold(aside.subscribe(), async |mut told| {
            let text = told.recv().await.ok()?;
            Some((Ok::<_, Infallible>(format!("data: {text}\n\n")), told))
        });
        return ([("content-type", "text/event-stream")], Body::from_stream(told)).into_response();
    }
    let Ok(Message::Request(request)) = wire::parse(&body) else {
        return StatusCode::ACCEPTED.into_response();
    };
    let params: Value = request.params.and_then(|params| params.read().ok()).unwrap_or_default();
    let result = match request.method.as_str() {
        "server/discover" => return StatusCode::BAD_REQUEST.into_response(),
        "initialize" => json!({ "protocolVersion": "2025-06-18", "capabilities": { "tools": {} } }),
        "tools/list" => {
            json!({ "tools": [{ "name": "say", "inputSchema": { "type": "object" } }] })
        }
        "tools/call" if params["arguments"]["status"].is_u64() => {
            let status = u16::try_from(params["arguments"]["status"].as_u64().unwrap()).unwrap();
            let body =
                params["arguments"]["body"].as_str().unwrap().replace("$id", request.id.raw());
            return json_answer(StatusCode::from_u16(status).unwrap(), body);
        }
        "tools/call" => {
            let progress = json!({ "jsonrpc": "2.0", "method": "notifications/progress",
                "params": { "progressToken": params["_meta"]["progressToken"], "progress": 1, "message": "late" } });
            match params["arguments"]["progress"].as_str() {
                Some("before") => drop(aside.send(progress.to_string())),
                Some("after") => drop(tokio::spawn(async move {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    aside.send(progress.to_string())
                })),
                _ => {}
            }
            json!({ "content": [] })
        }
        _ => json!({}),
    };
    json_answer(
        StatusCode::OK,
        format!(r#"{{"jsonrpc":"2.0","id":{},"result":{result}}}"#, request.id.raw()),
    )
}

#[tokio::test]
async fn fb85_an_error_keeps_its_code_message_and_data_with_whichever_status_it_comes() {
    let (hub, pool) = start().await;
    let legacy = Client::one(&hub, "alice", "web").await;
    let mut modern = Modern::all(&hub, "alice");
    modern.caller = caller("alice", View::One(name("web")));
    for status in [200, 400, 401, 403, 404, 409, 422, 429, 500, 502, 503] {
        for code in [-32050, -32602, -32603, -32600, -32000, -32001, -32002, -32010, -32020, 42] {
            let error =
                json!({ "code": code, "message": "in its own words", "data": { "why": [1, "é"] } });
            for id in ["$id", "null"] {
                // An error that names no request is one of the transport: of a session that is
                // gone, of a body that was not read.
                if id == "null" && status == 200 {
                    continue;
                }
                let body = format!(r#"{{"jsonrpc":"2.0","id":{id},"error":{error}}}"#);
                let params =
                    json!({ "name": "say", "arguments": { "status": status, "body": body } });
                let what = format!("status {status}, code {code}, id {id}");
                assert_eq!(
                    legacy.ask("tools/call", params.clone()).await["error"],
                    error,
                    "legacy: {what}"
                );
                let answer: Value =
                    serde_json::from_str(&modern.raw("tools/call", params).await).unwrap();
                // Not used any more in that era.
                let expected = if code == -32002 { -32602 } else { code };
                assert_eq!(answer["error"]["code"], expected, "modern: {what}");
                assert_eq!(
                    (&answer["error"]["message"], &answer["error"]["data"]),
                    (&error["message"], &error["data"]),
                    "modern: {what}"
                );
            }
        }
    }
    pool.shutdown(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn fb85_a_refusal_that_is_no_json_rpc_is_told_in_its_words() {
    let (hub, pool) = start().await;
    let client = Client::one(&hub, "alice", "web").await;
    let told = async |body: &str| {
        let params = json!({ "name": "say", "arguments": { "status": 400, "body": body } });
        client.ask("tools/call", params).await["error"].take()
    };
    assert_snapshot!(told("the tenant is suspended").await, @r#"{"code":-32603,"message":"server \"web\": the server answered with HTTP status 400: the tenant is suspended","data":{"server":"web"}}"#);
    let quota = r#"{"error":"quota","error_description":"no calls are left this month"}"#;
    assert_snapshot!(told(quota).await, @r#"{"code":-32603,"message":"server \"web\": the server answered with HTTP status 400: {\"error\":\"quota\",\"error_description\":\"no calls are left this month\"}","data":{"server":"web"}}"#);
    assert_snapshot!(told("").await, @r#"{"code":-32603,"message":"server \"web\": the server answered with HTTP status 400","data":{"server":"web"}}"#);
    pool.shutdown(Duration::from_secs(5)).await;
}

/// Both orders, many times: which of two sockets is read first is not determined.
#[tokio::test]
async fn fb85_progress_beside_an_answer_in_json_is_never_lost() {
    let (hub, pool) = start().await;
    let client = Client::one(&hub, "alice", "web").await;
    let mut stream = client.listen().await;
    for (at, when) in ["before", "after"].into_iter().cycle().take(20).enumerate() {
        let token = format!("token-{at}");
        let body = json!({ "jsonrpc": "2.0", "id": format!("call-{at}"), "method": "tools/call", "params": {
            "name": "say", "arguments": { "progress": when }, "_meta": { "progressToken": token } } });
        let answer = client.post(&body.to_string()).await;
        let mut told = Vec::new();
        if answer.headers["content-type"] == "text/event-stream" {
            let mut events = super::client::Events::of(answer);
            while let Some(event) = events.next().await {
                told.push(event);
            }
        } else {
            told.push(stream.next().await.unwrap());
        }
        let progress = told
            .iter()
            .find(|text| text.contains("notifications/progress"))
            .unwrap_or_else(|| panic!("{told:?}"));
        let progress: Value = serde_json::from_str(progress).unwrap();
        assert_eq!(
            progress["params"],
            json!({ "progressToken": token, "progress": 1, "message": "late" }),
            "{when}"
        );
    }
    pool.shutdown(Duration::from_secs(5)).await;
}
