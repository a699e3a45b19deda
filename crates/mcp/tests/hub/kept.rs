//! Sessions that go on in another process: a second hub over the same records.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use async_trait::async_trait;
use http::StatusCode;
use portunus_core::ids::{ClientId, UserId};
use portunus_mcp::{
    hub::{Hub, HubSettings, View},
    records::{RecordsDown, SessionRecords},
};
use serde_json::json;

use super::{
    client::{Client, Events, caller, hub, until},
    fake::{Fakes, Script, name},
};

#[derive(Debug, Default)]
struct ListCache {
    kept: Mutex<HashMap<String, (UserId, Vec<u8>)>>,
    is_down: AtomicBool,
    forgets_slowly: AtomicBool,
    is_forgetting: AtomicBool,
    keeps_slowly: AtomicBool,
    is_keeping: AtomicBool,
}

impl ListCache {
    async fn take_time(slowly: &AtomicBool) {
        // bounded: by the test, which lets it go on before it ends.
        while slowly.load(Ordering::SeqCst) {
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
    }

    fn up<T>(&self, value: T) -> Result<T, RecordsDown> {
        if self.is_down.load(Ordering::SeqCst) { Err(RecordsDown) } else { Ok(value) }
    }
}

#[async_trait]
impl SessionRecords for ListCache {
    async fn keep(&self, session: &str, user: &UserId, state: &[u8]) -> Result<(), RecordsDown> {
        self.up(())?;
        self.is_keeping.store(true, Ordering::SeqCst);
        Self::take_time(&self.keeps_slowly).await;
        self.kept.lock().unwrap().insert(session.to_owned(), (user.clone(), state.to_vec()));
        Ok(())
    }

    async fn find(&self, session: &str) -> Result<Option<(UserId, Vec<u8>)>, RecordsDown> {
        self.up(self.kept.lock().unwrap().get(session).cloned())
    }

    async fn touch(&self, _: &str) -> Result<(), RecordsDown> {
        self.up(())
    }

    async fn forget(&self, session: &str) -> Result<(), RecordsDown> {
        self.up(())?;
        self.is_forgetting.store(true, Ordering::SeqCst);
        Self::take_time(&self.forgets_slowly).await;
        self.kept.lock().unwrap().remove(session);
        Ok(())
    }
}

/// A process: its hub, and its own connections to the servers.
fn process(list_cache: &Arc<ListCache>) -> (Arc<Fakes>, Arc<Hub>) {
    let fakes = Fakes::new(vec![Script::new("dice").tools(&["roll", "step"])]);
    let hub =
        hub(&fakes, HubSettings { records: Arc::clone(list_cache) as _, ..HubSettings::default() });
    (fakes, hub)
}

const STEP: &str = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"step"}}"#;

fn at(hub: &Arc<Hub>, client: &Client) -> Client {
    client.moved_to(hub)
}

#[tokio::test]
async fn a_session_goes_on_with_what_it_asked_for() {
    let list_cache = Arc::new(ListCache::default());
    let (_, first) = process(&list_cache);
    let client = Client::all(&first, "alice").await;
    client.result("logging/setLevel", json!({"level": "error"})).await;
    client.result("resources/subscribe", json!({"uri": "file:///dice"})).await;
    let (fakes, second) = process(&list_cache);
    let client = at(&second, &client);
    assert_eq!(client.call("dice_roll").await["by"], "dice");
    let dice = fakes.script("dice");
    until("the server is told", || {
        !dice.heard("resources/subscribe").is_empty() && !dice.heard("logging/setLevel").is_empty()
    })
    .await;
    let mut stream = client.listen().await;
    fakes.says("dice", "notifications/message", Some(r#"{"level":"info","data":1}"#));
    assert!(stream.is_silent().await, "it wants errors alone");
    fakes.says("dice", "notifications/resources/updated", Some(r#"{"uri":"file:///dice"}"#));
    assert!(stream.next().await.unwrap().contains("file:///dice"));
}

#[tokio::test]
async fn what_ended_is_not_taken_on() {
    let list_cache = Arc::new(ListCache::default());
    let (_, first) = process(&list_cache);
    let client = Client::all(&first, "alice").await;
    assert_eq!(
        first.delete(client.caller.clone(), &client.headers()).await.status,
        StatusCode::NO_CONTENT
    );
    let (_, second) = process(&list_cache);
    assert_eq!(at(&second, &client).notify("x", "{}").await.status, StatusCode::NOT_FOUND);
    assert!(list_cache.kept.lock().unwrap().is_empty());
}

#[tokio::test]
async fn t36_a_session_is_taken_on_for_its_own_client_alone() {
    let list_cache = Arc::new(ListCache::default());
    let (_, first) = process(&list_cache);
    let client = Client::all(&first, "alice").await;
    let (_, second) = process(&list_cache);
    let own = caller("alice", View::All);
    let mut of_another_client = caller("alice", View::All);
    Arc::make_mut(&mut of_another_client.principal).client =
        ClientId::from_text("ptn_client_other");
    for stranger in
        [caller("mallory", View::All), caller("alice", View::One(name("dice"))), of_another_client]
    {
        let status = second.get(stranger, &client.headers()).await.status;
        assert_eq!(status, StatusCode::NOT_FOUND);
    }
    assert_eq!(second.get(own, &client.headers()).await.status, StatusCode::OK);
}

#[tokio::test]
async fn ids_of_an_earlier_life_do_not_come_again() {
    let list_cache = Arc::new(ListCache::default());
    let (_, first) = process(&list_cache);
    let client = Client::one(&first, "alice", "dice").await;
    let mut events = Events::of(client.post(STEP).await);
    events.next().await.unwrap();
    let before = events.last.clone().unwrap();
    let (_, second) = process(&list_cache);
    let client = at(&second, &client);
    let mut events = Events::of(client.post(STEP).await);
    events.next().await.unwrap();
    assert_ne!(events.last.as_ref(), Some(&before));
    let mut lost = Events::of(client.take_up(&before).await);
    let said: serde_json::Value = serde_json::from_str(&lost.next().await.unwrap()).unwrap();
    let call: serde_json::Value = serde_json::from_str(STEP).unwrap();
    assert_eq!(
        (&said["id"], &said["error"]["data"]["retriable"]),
        (&call["id"], &json!(true)),
        "that call is lost, and is told so"
    );
    assert_eq!(lost.next().await, None);
    let nameless = before.rsplit_once('-').unwrap().0;
    assert_eq!(
        client.take_up(nameless).await.status,
        StatusCode::BAD_REQUEST,
        "whose call it was is not known"
    );
}

#[tokio::test]
async fn without_records_for_a_while() {
    let list_cache = Arc::new(ListCache::default());
    let (_, first) = process(&list_cache);
    let client = Client::all(&first, "alice").await;
    list_cache.is_down.store(true, Ordering::SeqCst);
    assert_eq!(client.call("dice_roll").await["by"], "dice", "who is known here is served");
    let (_, second) = process(&list_cache);
    let client = at(&second, &client);
    let answer = client.notify("notifications/initialized", "{}").await;
    assert_eq!(
        answer.status,
        StatusCode::SERVICE_UNAVAILABLE,
        "404 would have the client begin anew"
    );
    list_cache.is_down.store(false, Ordering::SeqCst);
    assert_eq!(client.call("dice_roll").await["by"], "dice");
}

/// Records that take their time to forget: what comes meanwhile must not bring the session back.
#[tokio::test]
async fn what_comes_while_a_session_ends_does_not_revive_it() {
    let list_cache = Arc::new(ListCache::default());
    let (_, hub) = process(&list_cache);
    let client = Client::all(&hub, "alice").await;
    list_cache.forgets_slowly.store(true, Ordering::SeqCst);
    let ending = {
        let (hub, caller, headers) = (Arc::clone(&hub), client.caller.clone(), client.headers());
        tokio::spawn(async move { hub.delete(caller, &headers).await.status })
    };
    until("the record goes", || list_cache.is_forgetting.load(Ordering::SeqCst)).await;
    assert_eq!(
        hub.get(client.caller.clone(), &client.headers()).await.status,
        StatusCode::NOT_FOUND
    );
    list_cache.forgets_slowly.store(false, Ordering::SeqCst);
    assert_eq!(ending.await.unwrap(), StatusCode::NO_CONTENT);
    assert_eq!(client.notify("x", "{}").await.status, StatusCode::NOT_FOUND);
    assert!(list_cache.kept.lock().unwrap().is_empty());
}

/// The user's home is elsewhere now: what this process still writes must not end what goes on
/// there.
#[tokio::test]
async fn a_user_who_is_let_go_goes_on_elsewhere() {
    let list_cache = Arc::new(ListCache::default());
    let (fakes, first) = process(&list_cache);
    let client = Client::all(&first, "alice").await;
    client.call("dice_roll").await;
    assert_eq!(first.users(), std::slice::from_ref(&client.caller.principal.user));
    list_cache.keeps_slowly.store(true, Ordering::SeqCst);
    list_cache.is_keeping.store(false, Ordering::SeqCst);
    let subscribing = {
        let (hub, caller, headers) = (Arc::clone(&first), client.caller.clone(), client.headers());
        let body = r#"{"jsonrpc":"2.0","id":5,"method":"resources/subscribe","params":{"uri":"file:///dice"}}"#;
        tokio::spawn(async move { hub.post(caller, &headers, body.into()).await })
    };
    until("the subscription is written down", || list_cache.is_keeping.load(Ordering::SeqCst))
        .await;
    first.evict_user(&client.caller.principal.user).await;
    assert!(first.users().is_empty());
    list_cache.keeps_slowly.store(false, Ordering::SeqCst);
    subscribing.await.unwrap();
    // The call itself is seen through behind the answer, which was broken off.
    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    assert!(!list_cache.is_forgetting.load(Ordering::SeqCst), "the record stays");
    let (_, second) = process(&list_cache);
    assert_eq!(at(&second, &client).call("dice_roll").await["by"], "dice");
    let connects = fakes.script("dice").connects.load(Ordering::SeqCst);
    at(&first, &client).call("dice_roll").await;
    assert_eq!(
        fakes.script("dice").connects.load(Ordering::SeqCst),
        connects + 1,
        "what was the user's alone was closed"
    );
}
