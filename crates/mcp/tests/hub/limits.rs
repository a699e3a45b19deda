//! When requests are counted, and that each that has come to be at work is at work no more when it
//! has ended, however it did. What the limits are is the gateway's.

use std::{
    num::NonZeroU32,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use http::StatusCode;
use insta::assert_snapshot;
use portunus_core::ids::ServerName;
use portunus_mcp::{
    hub::{Hub, HubSettings, View},
    limits::{Limited, RequestLimits},
};
use serde_json::json;

use super::{
    client::{Client, caller, hub, text, until},
    fake::{Fakes, Script, name},
    modern::Modern,
};

/// What a hub tells of the requests of one client.
#[derive(Default)]
pub(crate) struct Recorder {
    pub(crate) begun: AtomicUsize,
    pub(crate) entered: AtomicUsize,
    pub(crate) at_work: AtomicI64,
    bytes: AtomicUsize,
    where_to: Mutex<Vec<String>>,
    /// Nothing begins, or nothing is entered.
    is_full: AtomicBool,
    is_busy: AtomicBool,
}

fn limited() -> Limited {
    Limited {
        limit: "few".to_owned(),
        text: "Limit `few` reached: too many requests. Try again in 3 s".to_owned(),
        retry_after: Duration::from_millis(2500),
        told: NonZeroU32::new(1),
    }
}

fn refused_if(flag: &AtomicBool) -> Result<(), Box<Limited>> {
    if flag.load(Ordering::SeqCst) { Err(Box::new(limited())) } else { Ok(()) }
}

impl RequestLimits for Recorder {
    fn begin(&self, _: Option<&ServerName>, bytes: usize) -> Result<(), Box<Limited>> {
        refused_if(&self.is_full)?;
        self.begun.fetch_add(1, Ordering::SeqCst);
        self.bytes.fetch_add(bytes, Ordering::SeqCst);
        Ok(())
    }

    fn enter(&self, server: Option<&ServerName>, tool: Option<&str>) -> Result<(), Box<Limited>> {
        refused_if(&self.is_busy)?;
        self.entered.fetch_add(1, Ordering::SeqCst);
        self.at_work.fetch_add(1, Ordering::SeqCst);
        let server = server.map_or("all", ServerName::as_str);
        self.where_to.lock().unwrap().push(format!("{server}/{}", tool.unwrap_or("-")));
        Ok(())
    }

    fn pause(&self) {
        self.at_work.fetch_sub(1, Ordering::SeqCst);
    }

    fn resume(&self) {
        self.at_work.fetch_add(1, Ordering::SeqCst);
    }

    fn answered(&self, bytes: usize) {
        self.bytes.fetch_add(bytes, Ordering::SeqCst);
    }

    fn leave(&self) {
        self.at_work.fetch_sub(1, Ordering::SeqCst);
    }
}

fn servers() -> Arc<Fakes> {
    Fakes::new(vec![
        Script::new("dice").tools(&["roll", "wait", "fail"]),
        Script::new("uuid").tools(&["make"]),
    ])
}

async fn clients(hub: &Arc<Hub>, view: View) -> (Client, Modern, Arc<Recorder>) {
    let recorder = Arc::new(Recorder::default());
    let mut caller = caller("alice", view);
    caller.limits = Some(recorder.clone());
    let legacy = Client::open(hub, caller.clone()).await;
    let mut modern = Modern::all(hub, "alice");
    modern.caller = caller;
    (legacy, modern, recorder)
}

#[tokio::test]
async fn every_request_counts_once_and_calls_are_told_with_server_and_tool() {
    let hub = hub(&servers(), HubSettings::default());
    let (legacy, modern, recorder) = clients(&hub, View::All).await;
    assert_eq!(recorder.begun.load(Ordering::SeqCst), 1, "initialize");
    legacy.ask("ping", json!({})).await;
    legacy.notify("notifications/initialized", "{}").await;
    legacy.notify("notifications/cancelled", r#"{"requestId":"none"}"#).await;
    assert_eq!(recorder.begun.load(Ordering::SeqCst), 1, "none of these is anything of its own");
    legacy.tools().await;
    legacy.call("dice_roll").await;
    legacy.ask("tools/call", json!({"name": "dice_fail"})).await;
    legacy.ask("tools/call", json!({"name": "no_such"})).await;
    modern.result("tools/list", json!({})).await;
    modern.result("server/discover", json!({})).await;
    modern.result("tools/call", json!({"name": "uuid_make"})).await;
    drop(modern.listen(json!({"toolsListChanged": true})).await);
    assert_eq!(recorder.begun.load(Ordering::SeqCst), 9);
    let where_to = recorder.where_to.lock().unwrap().join(" ");
    assert_snapshot!(where_to, @"all/- dice/roll dice/fail all/- all/- uuid/make");
    assert!(recorder.bytes.load(Ordering::SeqCst) > 500);
    let (one, alone, of_one) = clients(&hub, View::One(name("dice"))).await;
    one.tools().await;
    one.call("roll").await;
    one.notify("notifications/vendor", "{}").await;
    alone.result("tools/call", json!({"name": "roll"})).await;
    assert_eq!(of_one.begun.load(Ordering::SeqCst), 5);
    assert_snapshot!(of_one.where_to.lock().unwrap().join(" "), @"dice/- dice/roll dice/roll");
}

#[tokio::test]
async fn a_request_past_a_limit_is_429_that_says_when_to_come_back() {
    let servers = servers();
    let hub = hub(&servers, HubSettings::default());
    let (legacy, modern, recorder) = clients(&hub, View::All).await;
    let call = r#"{"jsonrpc":"2.0","id":"x","method":"tools/call","params":{"name":"dice_roll"}}"#;
    for flag in [&recorder.is_full, &recorder.is_busy] {
        flag.store(true, Ordering::SeqCst);
        let refused = [
            legacy.post(call).await,
            modern.post("tools/call", json!({"name": "dice_roll"})).await,
        ];
        for (answer, id) in refused.into_iter().zip([r#""x""#, "1"]) {
            assert_eq!(answer.status, StatusCode::TOO_MANY_REQUESTS);
            assert_eq!(answer.headers["retry-after"], "3");
            let text = text(answer).replace(id, "{id}");
            insta::allow_duplicates! {
                assert_snapshot!(text.replace("2,", "{id},"), @r#"{"jsonrpc":"2.0","id":{id},"error":{"code":-32000,"message":"Limit `few` reached: too many requests. Try again in 3 s","data":{"limit":"few","retryAfterMs":2500}}}"#);
            }
        }
        flag.store(false, Ordering::SeqCst);
    }
    assert!(servers.script("dice").heard("tools/call").is_empty(), "nothing reached the server");
    recorder.is_full.store(true, Ordering::SeqCst);
    let told = legacy.notify("notifications/vendor", "{}").await;
    assert_eq!(told.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(legacy.notify("notifications/cancelled", "{}").await.status, StatusCode::ACCEPTED);
    assert_eq!(legacy.ask("ping", json!({})).await["result"], json!({}));
    assert_eq!(
        recorder.at_work.load(Ordering::SeqCst),
        -2,
        "left once for each that was not let in"
    );
}

#[tokio::test]
async fn t47_nothing_is_at_work_after_a_thousand_calls_that_ended_in_every_way() {
    const CALLS: usize = 1000;
    let servers = servers();
    let hub = hub(&servers, HubSettings::default());
    let (legacy, modern, recorder) = clients(&hub, View::All).await;
    let (legacy, modern) = (Arc::new(legacy), Arc::new(modern));
    let cancelled = || servers.script("dice").cancelled.load(Ordering::SeqCst);
    let entered = || recorder.entered.load(Ordering::SeqCst);
    let wait = json!({"name": "dice_wait", "arguments": {}});
    for n in 0..CALLS {
        let before = (entered(), cancelled());
        match n % 5 {
            0 => drop(legacy.call("dice_roll").await),
            1 => drop(legacy.ask("tools/call", json!({"name": "dice_fail"})).await),
            2 => drop(modern.result("tools/list", json!({})).await),
            // Its client takes it back.
            3 => {
                let call = json!({"jsonrpc": "2.0", "id": format!("w{n}"), "method": "tools/call", "params": wait});
                let calling = Arc::clone(&legacy);
                let call =
                    tokio::spawn(async move { calling.post(&call.to_string()).await.status });
                until("it is at work", || entered() > before.0).await;
                legacy
                    .notify("notifications/cancelled", &format!(r#"{{"requestId":"w{n}"}}"#))
                    .await;
                call.await.unwrap();
            }
            // Its client hangs up.
            _ => {
                let (calling, wait) = (Arc::clone(&modern), wait.clone());
                let call =
                    tokio::spawn(async move { calling.post("tools/call", wait).await.status });
                until("it is at work", || entered() > before.0).await;
                call.abort();
                until("it has left", || recorder.at_work.load(Ordering::SeqCst) == 0).await;
            }
        }
    }
    assert_eq!(entered(), CALLS);
    until("nothing is at work", || recorder.at_work.load(Ordering::SeqCst) == 0).await;
}

/// A legacy client's connection may break: its call goes on, and is at work until it has ended.
#[tokio::test]
async fn t47_a_call_that_outlives_its_connection_is_at_work_until_it_has_ended() {
    let servers = servers();
    let hub = hub(&servers, HubSettings::default());
    let (legacy, _, recorder) = clients(&hub, View::All).await;
    let legacy = Arc::new(legacy);
    let calling = Arc::clone(&legacy);
    let call = tokio::spawn(async move { calling.call("dice_wait").await });
    until("it is at work", || recorder.at_work.load(Ordering::SeqCst) == 1).await;
    call.abort();
    assert!(call.await.unwrap_err().is_cancelled());
    legacy.call("dice_roll").await;
    assert_eq!(recorder.at_work.load(Ordering::SeqCst), 1, "still");
    servers.script("dice").go_on.notify_one();
    until("it has ended", || recorder.at_work.load(Ordering::SeqCst) == 0).await;
}
