//! The hub and the pool together, before an HTTP server of the modern era that makes tasks and
//! tells of them: no SDK does both yet.

use std::{
    collections::HashMap,
    convert::Infallible,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse as _, Response},
    routing::post,
};
use portunus_core::entropy::SeededEntropy;
use portunus_mcp::{
    hub::{Hub, HubSettings, Servers},
    spec::{Isolation, ServerSpec, Transport},
    upstream::{Options, Upstreams},
};
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::mpsc};
use url::Url;

use super::{client::Wax, fake::name, modern::Modern, real::support};

/// Every request about a task, with the name in its header; and the open streams, by the ids of the
/// tasks they are about.
#[derive(Clone, Default)]
struct Server {
    asked: Arc<Mutex<Vec<(String, String)>>>,
    streams: Arc<Mutex<HashMap<String, mpsc::UnboundedSender<Bytes>>>>,
}

fn event(message: &Value) -> Bytes {
    Bytes::from(format!("data: {message}\n\n"))
}

async fn answer(State(server): State<Server>, headers: HeaderMap, body: Bytes) -> Response {
    let request: Value = serde_json::from_slice(&body).unwrap();
    let (method, params) = (request["method"].as_str().unwrap(), &request["params"]);
    let result = match method {
        "server/discover" => json!({
            "resultType": "complete", "supportedVersions": ["2026-07-28"], "ttlMs": 0, "cacheScope": "private",
            "capabilities": {"tools": {}, "extensions": {"io.modelcontextprotocol/tasks": {}}},
        }),
        "tools/list" => {
            json!({"resultType": "complete", "tools": [{"name": "job", "inputSchema": {"type": "object"}}]})
        }
        "tools/call" => json!({"resultType": "task", "taskId": "ä 1", "status": "working"}),
        "tasks/get" => {
            let named = headers["mcp-name"].to_str().unwrap().to_owned();
            server
                .asked
                .lock()
                .unwrap()
                .push((params["taskId"].as_str().unwrap().to_owned(), named));
            json!({"resultType": "complete", "taskId": params["taskId"], "status": "working"})
        }
        "subscriptions/listen" => {
            let ids = params["notifications"]["taskIds"].clone();
            let (events, heard) = mpsc::unbounded_channel();
            let agreed = json!({"jsonrpc": "2.0", "method": "notifications/subscriptions/acknowledged", "params": {
                "notifications": {"taskIds": ids}, "_meta": {"io.modelcontextprotocol/subscriptionId": request["id"]}}});
            events.send(event(&agreed)).unwrap();
            for id in ids.as_array().into_iter().flatten() {
                server
                    .streams
                    .lock()
                    .unwrap()
                    .insert(id.as_str().unwrap().to_owned(), events.clone());
            }
            let events = futures::stream::unfold(heard, |mut heard| async move {
                heard.recv().await.map(|event| (Ok::<_, Infallible>(event), heard))
            });
            return ([("content-type", "text/event-stream")], Body::from_stream(events))
                .into_response();
        }
        _ => return StatusCode::NOT_FOUND.into_response(),
    };
    let message = json!({"jsonrpc": "2.0", "id": request["id"], "result": result});
    ([("content-type", "application/json")], message.to_string()).into_response()
}

#[tokio::test]
async fn a_real_server_tells_of_its_tasks() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = Url::parse(&format!("http://{}/mcp", listener.local_addr().unwrap())).unwrap();
    let server = Server::default();
    let router = Router::new().route("/mcp", post(answer)).with_state(server.clone());
    tokio::spawn(async move { axum::serve(listener, router).await });
    let patience = Duration::from_secs(60);
    let specs = vec![ServerSpec {
        isolation: Isolation::User,
        request_timeout: patience,
        connect_timeout: patience,
        idle_timeout: patience * 10,
        ..ServerSpec::with_defaults(name("web"), Transport::Http { url, headers: Vec::new() })
    }];
    let pool = Arc::new(Upstreams::new(specs.clone(), support::client(), Options::default()));
    let servers = Arc::clone(&pool) as Arc<dyn Servers>;
    let hub = Hub::new(
        HubSettings::default(),
        specs,
        servers,
        Arc::new(SeededEntropy::new(1)),
        Arc::new(Wax),
    );
    let client = Modern::all(&hub, "alice");
    let made = client.result("tools/call", json!({"name": "web_job", "arguments": {}})).await;
    let task = json!({"taskId": made["taskId"]});
    assert_eq!(client.result("tasks/get", task).await["status"], "working");
    assert_eq!(
        *server.asked.lock().unwrap(),
        [("ä 1".to_owned(), "=?base64?w6QgMQ==?=".to_owned())]
    );
    let (mut events, agreed) = client.listen(json!({"taskIds": ["ä 1"]})).await;
    assert_eq!(agreed, json!({"taskIds": ["ä 1"]}));
    let told = json!({"jsonrpc": "2.0", "method": "notifications/tasks", "params": {"taskId": "ä 1", "status": "completed"}});
    server.streams.lock().unwrap()["ä 1"].send(event(&told)).unwrap();
    let heard: Value = serde_json::from_str(&events.next().await.unwrap()).unwrap();
    assert_eq!(
        (&heard["method"], &heard["params"]["status"]),
        (&told["method"], &json!("completed"))
    );
    drop(events);
    hub.shutdown().await;
    pool.shutdown(Duration::from_secs(10)).await;
}
