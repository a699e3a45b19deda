//! A child that all users share, among several nodes in this process: the way from one to another
//! is a function call here.
#![expect(clippy::unwrap_used, reason = "a test stops where it stands")]

mod support;

use std::{path::Path, sync::Arc, time::Duration};

use bytes::Bytes;
use portunus_mcp::{
    hub::Peer,
    spec::{Isolation, ServerSpec},
    upstream::{Call, CallEvent, Event, UpstreamError},
    wire::Outcome,
};
use serde_json::{Value, json};
use support::{
    PATIENCE, eventually, fixture, is_running, name, nodes::Nodes, payload, program, spec, tool,
};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

async fn ask(peer: &Arc<dyn Peer>, tool_name: &str, arguments: Value) -> String {
    let answer = peer
        .request("tools/call", Some(tool(tool_name, &arguments)), Call::default())
        .await
        .unwrap();
    let Outcome::Result(result) = answer else { panic!("{answer:?}") };
    let result: Value = result.read().unwrap();
    result["content"][0]["text"].as_str().unwrap().to_owned()
}

async fn pid(peer: &Arc<dyn Peer>) -> String {
    ask(peer, "process", json!({})).await.split_whitespace().next().unwrap().to_owned()
}

fn child(script: &str) -> ServerSpec {
    let hello = r#"read probe; echo '{"jsonrpc":"2.0","id":1,"error":{"code":-32601,"message":"?"}}'; read line; echo '{"jsonrpc":"2.0","id":2,"result":{"protocolVersion":"2025-06-18","capabilities":{}}}'; read line"#;
    spec("fixture", program("sh", &["-c", &format!("{hello}\n{script}")]))
}

#[tokio::test]
async fn one_child_serves_all_nodes() {
    let nodes = Nodes::new(&fixture(), 3);
    let peers =
        [nodes.peer(2).await.unwrap(), nodes.peer(0).await.unwrap(), nodes.peer(1).await.unwrap()];
    let first = pid(&peers[0]).await;
    for peer in &peers {
        assert_eq!(pid(peer).await, first);
        assert_eq!(peer.key(), peers[0].key());
        assert_eq!(peer.info().raw, peers[0].info().raw);
        assert_eq!(peer.info().instructions.as_deref(), Some("Instructions of fixture"));
    }
    // What the server says to all of its clients, every node hears.
    let mut events: Vec<_> = peers.iter().map(|peer| peer.events()).collect();
    ask(&peers[1], "change_tools", json!({})).await;
    for heard in &mut events {
        let heard = tokio::time::timeout(PATIENCE, heard.recv()).await.unwrap().unwrap();
        assert!(
            matches!(&heard, Event::Notification { method, .. } if method == "notifications/tools/list_changed"),
            "{heard:?}"
        );
    }
    assert!(Arc::ptr_eq(&nodes.peer(1).await.unwrap(), &peers[2]), "one attachment for each node");
    assert_eq!(nodes.servers[2].here(), [name("fixture")]);
    assert!(nodes.servers[0].here().is_empty() && nodes.servers[1].here().is_empty());
}

#[tokio::test]
async fn t37_progress_reaches_the_caller_whose_it_is() {
    let (_nodes, owner, other) = Nodes::pair(&fixture()).await;
    let calls = (0..20_u32).map(|n| {
        let peer = if n % 2 == 0 { &owner } else { &other };
        async move {
            let (sender, mut call_events) = mpsc::channel(10);
            let steps = n % 4;
            let params = json!({"name": "slow", "arguments": {"steps": steps, "step_ms": 5}, "_meta": {"progressToken": "same"}});
            let call = Call { call_events: Some(sender), ..Call::default() };
            let Outcome::Result(result) = peer.request("tools/call", Some(payload(&params)), call).await.unwrap() else {
                panic!()
            };
            assert!(result.as_str().contains(&format!("{steps} steps")), "{}", result.as_str());
            let mut heard = 0;
            while let Some(CallEvent::Progress(params)) = call_events.recv().await {
                assert!(params.as_str().contains(&format!("\"total\":{steps}")), "{}", params.as_str());
                heard += 1;
            }
            assert_eq!(heard, steps);
        }
    });
    futures::future::join_all(calls.collect::<Vec<_>>()).await;
}

#[tokio::test]
async fn a_call_that_is_cancelled_is_cancelled_at_the_server() {
    let (nodes, owner, other) = Nodes::pair(&fixture()).await;
    let cancel = CancellationToken::new();
    let (call_events, _heard) = mpsc::channel(1);
    let call = Call { cancel: cancel.clone(), call_events: Some(call_events), ..Call::default() };
    let hung = other.request("tools/call", Some(tool("hang", &json!({}))), call);
    let (answer, ()) = tokio::join!(hung, async {
        eventually("the call is under way", || async {
            nodes.servers[0].is_busy(&name("fixture"))
        })
        .await;
        cancel.cancel();
    });
    assert_eq!(answer, Err(UpstreamError::Cancelled));
    eventually("the server knows", || async { ask(&owner, "cancelled", json!({})).await == "1" })
        .await;
    assert!(!nodes.servers[0].is_busy(&name("fixture")));
    // The owner keeps the time.
    let call = Call { timeout: Some(Duration::from_millis(50)), ..Call::default() };
    assert_eq!(
        other.request("tools/call", Some(tool("hang", &json!({}))), call).await,
        Err(UpstreamError::Timeout)
    );
    let unknown = other
        .request("tools/call", Some(tool("error", &json!({}))), Call::default())
        .await
        .unwrap();
    assert!(
        matches!(&unknown, Outcome::Error(error) if error.as_str().contains("-32603")),
        "{unknown:?}"
    );
}

#[tokio::test]
async fn t50_what_a_shared_server_asks_is_refused_at_once_at_every_node() {
    let script = r#"read call; echo '{"jsonrpc":"2.0","id":7,"method":"roots/list"}'; read roots
        echo '{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":"of this call"}}'
        echo '{"jsonrpc":"2.0","id":"8","method":"ping"}'; read pong
        echo "{\"jsonrpc\":\"2.0\",\"id\":3,\"result\":[$roots,$pong]}"; cat"#;
    for node in 0..2 {
        let (_nodes, owner, other) = Nodes::pair(&child(script)).await;
        let (sender, mut call_events) = mpsc::channel(4);
        let peer = [&owner, &other][node];
        let mut events = peer.events();
        let answer = peer
            .request("tools/call", None, Call { call_events: Some(sender), ..Call::default() })
            .await;
        let Ok(Outcome::Result(result)) = answer else { panic!("{answer:?}") };
        let result: Value = result.read().unwrap();
        let refused = result[0]["error"]["message"].as_str().unwrap();
        assert!(
            refused.contains("nobody can be asked") && refused.contains("isolation: shared"),
            "{refused}"
        );
        assert_eq!(result[1]["result"], json!({}), "a ping is answered");
        assert!(call_events.recv().await.is_none(), "not even the only call hears of it");
        assert!(events.try_recv().is_err(), "nor anybody else");
    }
}

#[tokio::test]
async fn subscriptions_end_with_the_last_node_that_wants_them() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("heard");
    let script = format!(
        r#"while read -r line; do echo "$line" >> {}; id=$(echo "$line" | sed -n 's/.*"id":\([0-9]*\).*/\1/p'); [ -n "$id" ] && echo "{{\"jsonrpc\":\"2.0\",\"id\":$id,\"result\":{{}}}}"; done"#,
        log.display()
    );
    let nodes = Nodes::new(&child(&script), 3);
    let peers =
        [nodes.peer(0).await.unwrap(), nodes.peer(1).await.unwrap(), nodes.peer(2).await.unwrap()];
    let tell = async |n: usize, method: &str| {
        let uri = Some(payload(&json!({"uri": "file:///x"})));
        peers[n].request(method, uri, Call::default()).await.unwrap();
    };
    let ends =
        |log: &Path| std::fs::read_to_string(log).unwrap().matches("resources/unsubscribe").count();
    for n in 0..3 {
        tell(n, "resources/subscribe").await;
    }
    tell(0, "resources/unsubscribe").await;
    tell(1, "resources/unsubscribe").await;
    assert_eq!(ends(&log), 0, "the third node still wants to hear");
    tell(1, "resources/subscribe").await;
    tell(2, "resources/unsubscribe").await;
    assert_eq!(ends(&log), 0, "and now the second");
    // The node is gone, and does not say that its subscription ends.
    drop(peers);
    *nodes.home.lock().unwrap() = Some(1);
    drop(nodes.peer(1).await);
    eventually("the server is told", || async { ends(&log) == 1 }).await;
}

#[tokio::test]
async fn a_call_ends_with_an_owner_that_dies_and_the_next_one_starts_the_server() {
    let (nodes, owner, other) = Nodes::pair(&fixture()).await;
    let first = pid(&owner).await;
    let hung = other.request("tools/call", Some(tool("hang", &json!({}))), Call::default());
    let (answer, ()) = tokio::join!(hung, async {
        eventually("it arrived", || async {
            nodes.orders.lock().unwrap().iter().any(|order| order.contains("hang"))
        })
        .await;
        nodes.kill(0).await;
    });
    assert_eq!(answer, Err(UpstreamError::Lost));
    // A caller that still has the old peer is sent for a new one, and nothing is done twice.
    let late = other.request("tools/call", Some(tool("count", &json!({}))), Call::default()).await;
    assert_eq!(late, Err(UpstreamError::SessionExpired));
    assert!(other.is_closed());
    let next = nodes.peer(1).await.unwrap();
    assert_ne!(pid(&next).await, first);
    assert_eq!(ask(&next, "count", json!({})).await, "1");
    assert_eq!(nodes.servers[1].here(), [name("fixture")]);
}

#[tokio::test]
async fn an_owner_that_leaves_finishes_what_it_has_and_takes_nothing_more() {
    let (nodes, _owner, other) = Nodes::pair(&fixture()).await;
    let (call_events, _heard) = mpsc::channel(100);
    let call = Call { call_events: Some(call_events), ..Call::default() };
    let slow =
        other.request("tools/call", Some(tool("slow", &json!({"steps": 10, "step_ms": 50}))), call);
    let (answer, ()) = tokio::join!(slow, async {
        eventually("it is under way", || async { nodes.servers[0].is_busy(&name("fixture")) })
            .await;
        nodes.leaving[0].cancel();
        eventually("the other node knows", || async { other.is_closed() }).await;
        assert!(nodes.servers[0].is_busy(&name("fixture")));
        let orders = nodes.orders.lock().unwrap().clone();
        assert!(
            orders.len() == 2 && orders[0].contains("attach") && orders[1].contains("slow"),
            "{orders:?}"
        );
        for order in orders {
            let taken = nodes.servers[0].take(
                &name("fixture"),
                &Bytes::from(order.clone()),
                &nodes.leaving[0],
            );
            assert!(taken.is_none(), "{order}");
        }
    });
    assert!(matches!(answer, Ok(Outcome::Result(_))), "{answer:?}");
    assert!(!nodes.servers[0].is_busy(&name("fixture")), "it can be given up");
    nodes.servers[0].evict_user(&name("fixture")).await;
    *nodes.home.lock().unwrap() = None;
    assert_eq!(ask(&nodes.peer(1).await.unwrap(), "echo", json!({"text": "here"})).await, "here");
}

#[tokio::test]
async fn a_server_that_cannot_be_started_says_so_everywhere() {
    let nodes = Nodes::new(&spec("fixture", program("no-such-program", &[])), 2);
    assert!(matches!(nodes.peer(0).await, Err(UpstreamError::Spawn { .. })));
    assert!(matches!(nodes.peer(1).await, Err(UpstreamError::Backoff { .. })));
}

#[tokio::test]
async fn nobody_shares_what_is_not_everybodys() {
    let nodes =
        Nodes::each_with(&[ServerSpec { isolation: Isolation::User, ..fixture() }, fixture()]);
    *nodes.home.lock().unwrap() = Some(0);
    assert_eq!(nodes.peer(1).await.err(), Some(UpstreamError::NotFound));
    let (own, again) = (nodes.peer(0).await.unwrap(), nodes.peer(0).await.unwrap());
    assert!(Arc::ptr_eq(&own, &again), "and one's own is where one is");
    assert!(nodes.servers[0].here().is_empty());
}

#[tokio::test]
async fn it_ends_when_nobody_has_needed_it_at_any_node() {
    let idle = ServerSpec { idle_timeout: Duration::from_secs(1), ..fixture() };
    let (nodes, owner, other) = Nodes::pair(&idle).await;
    let held = other.hold();
    let child = pid(&other).await;
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert_eq!(pid(&other).await, child, "another node has use for it");
    assert!(!owner.is_closed());
    drop(held);
    eventually("it ends", || async {
        other.is_closed() && owner.is_closed() && !is_running(&child)
    })
    .await;
    assert_ne!(pid(&nodes.peer(1).await.unwrap()).await, child);
}
