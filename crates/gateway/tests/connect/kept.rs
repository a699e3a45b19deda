//! Tokens that came for a request that was given up, and tokens that were removed while they were
//! in use: what was paid for with a refresh token is kept, and what is gone stays gone.

use std::{sync::Arc, time::Duration};

use portunus_testkit::{
    protected_server::ProtectedServer,
    wait::{eventually, in_time},
};
use serde_json::json;
use tokio::sync::Semaphore;

use crate::client::{Client, clock, error_of, options, sign_in, store};

/// A request of the modern era, whose cancellation tells the server nothing.
fn list(id: u64) -> String {
    let meta = json!({"io.modelcontextprotocol/protocolVersion": "2026-07-28"});
    json!({"jsonrpc": "2.0", "id": id, "method": "tools/list", "params": {"_meta": meta}})
        .to_string()
}

fn cancel(id: u64) -> String {
    json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": id}})
        .to_string()
}

/// Without a session, so that nothing but what a test asks for uses the token.
async fn signed_in(client: &mut Client) {
    client.write(&list(0)).await;
    assert!(client.read().await.contains("result"));
}

/// Until what was written before is taken.
async fn taken(client: &mut Client) {
    client.write("nothing").await;
    assert!(client.read().await.contains("-32700"));
}

#[tokio::test]
async fn a_refresh_goes_on_when_its_request_is_cancelled_and_the_next_one_has_it() {
    let (server, folder, clock) =
        (ProtectedServer::start().await, tempfile::tempdir().unwrap(), clock());
    let mut client = Client::start(&server.mcp_url(), folder.path(), &clock);
    signed_in(&mut client).await;
    let gate = Arc::new(Semaphore::new(0));
    server.behave(|behaviour| behaviour.holds_tokens = Some(Arc::clone(&gate)));
    clock.advance(Duration::from_secs(3600 - 20));
    client.write(&list(1)).await;
    eventually("a refresh", async || server.seen().refreshes == 1).await;
    client.write(&cancel(1)).await;
    client.write(&list(2)).await;
    taken(&mut client).await;
    gate.add_permits(1);
    assert!(client.read().await.contains("\"id\": 2"), "the one that was not cancelled");
    let seen = server.seen();
    assert_eq!((seen.refreshes, client.sign_ins()), (1, 1));
    // The next one is good, too.
    server.revoke_access();
    server.behave(|behaviour| behaviour.holds_tokens = None);
    assert!(client.ask(3, "tools/list").await["result"].is_object());
    assert_eq!((server.seen().refreshes, client.sign_ins()), (2, 1));
    client.end().await;
}

#[tokio::test]
async fn a_code_is_redeemed_when_the_request_that_wanted_it_is_cancelled() {
    let (server, folder) = (ProtectedServer::start().await, tempfile::tempdir().unwrap());
    let gate = Arc::new(Semaphore::new(0));
    server.behave(|behaviour| behaviour.holds_tokens = Some(Arc::clone(&gate)));
    let mut client = Client::start(&server.mcp_url(), folder.path(), &clock());
    client.write(&list(1)).await;
    eventually("a code", async || server.seen().tokens.len() == 1).await;
    client.write(&cancel(1)).await;
    client.write(&list(2)).await;
    taken(&mut client).await;
    gate.add_permits(1);
    assert!(client.read().await.contains("\"id\": 2"), "the one that was not cancelled");
    assert_eq!((server.seen().tokens.len(), client.sign_ins()), (1, 1));
    client.end().await;
}

#[tokio::test]
async fn a_sign_in_where_no_server_is_says_so() {
    let server = ProtectedServer::start().await;
    for path in ["", "/token/x"] {
        let url = format!("{}{path}", server.base);
        let (client, folder) = (options(&url), tempfile::tempdir().unwrap());
        let error = sign_in(&client, folder.path()).await.unwrap_err().to_string();
        assert!(error.contains("there is no MCP server at"), "{error}");
    }
    let folder = tempfile::tempdir().unwrap();
    assert!(sign_in(&options(&server.mcp_url()), folder.path()).await.unwrap());
}

#[tokio::test]
async fn a_program_that_is_told_to_end_keeps_what_it_has_just_refreshed() {
    let (server, folder, clock) =
        (ProtectedServer::start().await, tempfile::tempdir().unwrap(), clock());
    let mut client = Client::start(&server.mcp_url(), folder.path(), &clock);
    signed_in(&mut client).await;
    let key = options(&server.mcp_url()).key();
    let before = store(folder.path()).sign_in(&key).unwrap().unwrap();
    let gate = Arc::new(Semaphore::new(0));
    server.behave(|behaviour| behaviour.holds_tokens = Some(Arc::clone(&gate)));
    clock.advance(Duration::from_secs(3600 - 20));
    client.write(&list(1)).await;
    eventually("a refresh", async || server.seen().refreshes == 1).await;
    client.stop.cancel();
    tokio::spawn(async move {
        // Longer than it says goodbye to its server.
        tokio::time::sleep(Duration::from_secs(3)).await;
        gate.add_permits(1);
    });
    in_time("the end", client.task).await.unwrap().unwrap();
    let after = store(folder.path()).sign_in(&key).unwrap().unwrap();
    assert_ne!(before.refresh_token, after.refresh_token);
}

#[tokio::test]
async fn who_waits_for_a_refresh_that_fails_is_told_so_and_tries_no_other() {
    let (server, folder, clock) =
        (ProtectedServer::start().await, tempfile::tempdir().unwrap(), clock());
    let mut client = Client::start(&server.mcp_url(), folder.path(), &clock);
    signed_in(&mut client).await;
    let gate = Arc::new(Semaphore::new(0));
    server.behave(|behaviour| {
        behaviour.holds_tokens = Some(Arc::clone(&gate));
        behaviour.refresh = Some((503, ""));
    });
    clock.advance(Duration::from_secs(3600));
    for id in 1..4 {
        client.write(&list(id)).await;
    }
    eventually("a refresh", async || server.seen().refreshes == 1).await;
    taken(&mut client).await;
    gate.add_permits(3);
    for _ in 1..4 {
        let answer = serde_json::from_str(&client.read().await).unwrap();
        assert!(error_of(&answer).contains("503"), "{answer}");
    }
    assert_eq!((server.seen().refreshes, client.sign_ins()), (1, 1));
    client.end().await;
}

#[tokio::test]
async fn a_sign_in_that_was_removed_is_neither_used_nor_refreshed() {
    let (server, folder, clock) =
        (ProtectedServer::start().await, tempfile::tempdir().unwrap(), clock());
    let mut client = Client::start(&server.mcp_url(), folder.path(), &clock);
    signed_in(&mut client).await;
    let key = options(&server.mcp_url()).key();
    for (n, later) in [0, 3600 - 20, 3600].into_iter().enumerate() {
        let before = store(folder.path()).sign_in(&key).unwrap().unwrap();
        assert!(store(folder.path()).forget(&key).unwrap());
        clock.advance(Duration::from_secs(later));
        assert!(client.ask(1, "tools/list").await["result"].is_object());
        assert_eq!((server.seen().refreshes, client.sign_ins()), (0, n + 2), "{later}");
        let after = store(folder.path()).sign_in(&key).unwrap().unwrap();
        assert_ne!(before.client, after.client, "the registration was removed, too");
    }
    client.end().await;
}

#[tokio::test]
async fn a_sign_in_that_is_removed_while_it_is_refreshed_stays_removed() {
    let (server, folder, clock) =
        (ProtectedServer::start().await, tempfile::tempdir().unwrap(), clock());
    let mut client = Client::start(&server.mcp_url(), folder.path(), &clock);
    signed_in(&mut client).await;
    let key = options(&server.mcp_url()).key();
    let gate = Arc::new(Semaphore::new(0));
    server.behave(|behaviour| behaviour.holds_tokens = Some(Arc::clone(&gate)));
    clock.advance(Duration::from_secs(3600 - 20));
    client.write(&list(1)).await;
    eventually("a refresh", async || server.seen().refreshes == 1).await;
    assert!(store(folder.path()).forget(&key).unwrap());
    server.behave(|behaviour| behaviour.holds_tokens = None);
    gate.add_permits(1);
    assert!(client.read().await.contains("result"));
    let seen = server.seen();
    assert_eq!((seen.refreshes, seen.registrations, client.sign_ins()), (1, 2, 2));
    client.end().await;
}
