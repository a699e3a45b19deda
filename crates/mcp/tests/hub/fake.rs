//! Servers in memory. Unless told otherwise they answer any request with what they were asked, so
//! that tests can compare bytes.

use std::{
    any::Any,
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use portunus_core::ids::{ServerName, UserId};
use portunus_mcp::{
    era::Era,
    hub::{Peer, Servers},
    sandbox::Sandbox,
    spec::{Isolation, ServerSpec, Transport},
    upstream::{
        Call, CallEvent, ConnectionKey, ConnectionUser, Event, Owner, ServerInfo, UpstreamError,
    },
    wire::{Outcome, Payload},
};
use tokio::sync::{Notify, broadcast};

use super::fake_tasks::Tasks;

pub(crate) fn name(text: &str) -> ServerName {
    ServerName::parse(text).unwrap()
}

pub(crate) fn payload(text: &str) -> Payload {
    Payload::from_json(text).unwrap()
}

/// What a server has. Lists are raw items.
pub(crate) struct Script {
    pub(crate) name: ServerName,
    pub(crate) isolation: Isolation,
    pub(crate) era: Era,
    pub(crate) capabilities: String,
    pub(crate) instructions: Option<String>,
    pub(crate) lists: Mutex<HashMap<String, Vec<String>>>,
    pub(crate) page_size: usize,
    /// More members of each page, each with a comma before it.
    pub(crate) hints: Mutex<String>,
    pub(crate) down: AtomicBool,
    /// Connecting never ends while set.
    pub(crate) hangs: AtomicBool,
    pub(crate) connects: AtomicUsize,
    /// Lets the calls of the tool `wait` go on.
    pub(crate) go_on: Notify,
    /// Every request and notification that arrived.
    pub(crate) heard: Mutex<Vec<(String, String)>>,
    pub(crate) cancelled: AtomicUsize,
    /// Calls that said all they had to say.
    pub(crate) finished: AtomicUsize,
}

impl Script {
    pub(crate) fn new(text: &str) -> Self {
        Self {
            name: name(text),
            isolation: Isolation::User,
            era: Era::Legacy,
            capabilities: r#"{"tools":{},"prompts":{},"resources":{"subscribe":true},"logging":{},"completions":{}}"#.to_owned(),
            instructions: None,
            lists: Mutex::default(),
            page_size: 1000,
            hints: Mutex::default(),
            down: AtomicBool::new(false),
            hangs: AtomicBool::new(false),
            connects: AtomicUsize::new(0),
            go_on: Notify::new(),
            heard: Mutex::default(),
            cancelled: AtomicUsize::new(0),
            finished: AtomicUsize::new(0),
        }
    }

    /// Of the modern era, with these capabilities.
    pub(crate) fn modern(mut self, capabilities: &str) -> Self {
        self.era = Era::Modern;
        self.declaring(capabilities)
    }

    pub(crate) fn declaring(mut self, capabilities: &str) -> Self {
        capabilities.clone_into(&mut self.capabilities);
        self
    }

    pub(crate) fn with(self, method: &str, items: &[&str]) -> Self {
        self.set(method, items);
        self
    }

    pub(crate) fn tools(self, names: &[&str]) -> Self {
        let items: Vec<_> = names
            .iter()
            .map(|name| format!(r#"{{"name":"{name}","inputSchema":{{"type":"object"}}}}"#))
            .collect();
        self.with("tools/list", &items.iter().map(String::as_str).collect::<Vec<_>>())
    }

    pub(crate) fn isolated(mut self, isolation: Isolation) -> Self {
        self.isolation = isolation;
        self
    }

    pub(crate) fn set(&self, method: &str, items: &[&str]) {
        let items = items.iter().map(|&item| item.to_owned()).collect();
        self.lists.lock().unwrap().insert(method.to_owned(), items);
    }

    /// What it says of how its lists may be kept.
    pub(crate) fn hint(&self, hints: &str) {
        hints.clone_into(&mut self.hints.lock().unwrap());
    }

    pub(crate) fn heard(&self, method: &str) -> Vec<String> {
        let heard = self.heard.lock().unwrap();
        heard.iter().filter(|(name, _)| name == method).map(|(_, params)| params.clone()).collect()
    }

    fn page(&self, method: &str, member: &str, params: Option<&Payload>) -> Outcome {
        let lists = self.lists.lock().unwrap();
        let items = lists.get(method).cloned().unwrap_or_default();
        let start: usize = params
            .and_then(|params| serde_json::from_str::<serde_json::Value>(params.as_str()).ok())
            .and_then(|params| params["cursor"].as_str().and_then(|cursor| cursor.parse().ok()))
            .unwrap_or(0);
        let end = (start + self.page_size).min(items.len());
        let next =
            if end < items.len() { format!(r#","nextCursor":"{end}""#) } else { String::new() };
        let list = items[start..end].join(" , ");
        let hints = self.hints.lock().unwrap();
        Outcome::Result(payload(&format!(r#"{{"odd":1.0e5,"{member}":[{list}]{next}{hints}}}"#)))
    }
}

/// All of them, and the connections that are open.
pub(crate) struct Fakes {
    pub(crate) scripts: Vec<Arc<Script>>,
    peers: Mutex<HashMap<ConnectionKey, Arc<FakePeer>>>,
    pub(crate) closed_sessions: Mutex<Vec<ConnectionUser>>,
}

impl Fakes {
    pub(crate) fn new(scripts: Vec<Script>) -> Arc<Self> {
        let scripts = scripts.into_iter().map(Arc::new).collect();
        Arc::new(Self { scripts, peers: Mutex::default(), closed_sessions: Mutex::default() })
    }

    pub(crate) fn script(&self, server: &str) -> &Arc<Script> {
        self.scripts.iter().find(|script| script.name.as_str() == server).unwrap()
    }

    pub(crate) fn specs(&self) -> Vec<ServerSpec> {
        let spec = |script: &Arc<Script>| ServerSpec {
            isolation: script.isolation,
            request_timeout: Duration::from_secs(30),
            connect_timeout: Duration::from_secs(30),
            idle_timeout: Duration::from_secs(30),
            ..ServerSpec::with_defaults(
                script.name.clone(),
                Transport::Stdio {
                    command: "none".to_owned(),
                    args: Vec::new(),
                    env: std::collections::BTreeMap::default(),
                    cwd: None,
                    sandbox: Sandbox::default(),
                },
            )
        };
        self.scripts.iter().map(spec).collect()
    }

    /// Something that all connections to `server` say.
    pub(crate) fn says(&self, server: &str, method: &str, params: Option<&str>) {
        for peer in
            self.peers.lock().unwrap().values().filter(|peer| peer.key.server.as_str() == server)
        {
            let params = params.map(payload);
            let _ = peer.events.send(Event::Notification { method: method.to_owned(), params });
        }
    }

    /// The connections to `server` break.
    pub(crate) fn breaks(&self, server: &str) {
        self.peers.lock().unwrap().retain(|key, peer| {
            let stays = key.server.as_str() != server;
            if !stays {
                peer.closed.store(true, Ordering::SeqCst);
                let _ = peer.events.send(Event::Closed("broke".to_owned()));
            }
            stays
        });
    }
}

#[async_trait]
impl Servers for Fakes {
    async fn connection(
        &self,
        server: &ServerName,
        connection_user: &ConnectionUser,
    ) -> Result<Arc<dyn Peer>, UpstreamError> {
        let script = Arc::clone(self.script(server.as_str()));
        if script.down.load(Ordering::SeqCst) {
            return Err(UpstreamError::Spawn { detail: "secret detail".to_owned() });
        }
        let specs = self.specs();
        let key = ConnectionKey::of(
            specs.iter().find(|spec| spec.name == *server).unwrap(),
            connection_user,
        );
        if let Some(peer) = self.peers.lock().unwrap().get(&key) {
            return Ok(Arc::clone(peer) as Arc<dyn Peer>);
        }
        script.connects.fetch_add(1, Ordering::SeqCst);
        if script.hangs.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
        let peer = Arc::new(FakePeer::new(script, key.clone()));
        let mut peers = self.peers.lock().unwrap();
        Ok(Arc::clone(peers.entry(key).or_insert(peer)) as Arc<dyn Peer>)
    }

    async fn close_user(&self, user: &UserId) {
        self.peers.lock().unwrap().retain(|key, _| match key.owner.user() {
            None => true,
            Some(owner) => owner != user,
        });
    }

    async fn close_session(&self, connection_user: &ConnectionUser) {
        self.closed_sessions.lock().unwrap().push(connection_user.clone());
        self.peers.lock().unwrap().retain(|key, _| {
            key.owner
                != Owner::Session(
                    connection_user.user.clone(),
                    connection_user.client.clone(),
                    connection_user.session.clone().unwrap(),
                )
        });
    }
}

pub(crate) struct FakePeer {
    script: Arc<Script>,
    key: ConnectionKey,
    info: ServerInfo,
    events: broadcast::Sender<Event>,
    closed: AtomicBool,
    tasks: Tasks,
}

impl FakePeer {
    fn new(script: Arc<Script>, key: ConnectionKey) -> Self {
        let instructions = script
            .instructions
            .as_ref()
            .map(|text| format!(r#","instructions":"{text}""#))
            .unwrap_or_default();
        let server_info = format!(r#"{{"name":"{}-itself","version":"9"}}"#, script.name);
        let raw = format!(
            r#"{{"x-extra":[1.50, "\u00e9"],"protocolVersion":"2025-03-26","capabilities":{},"serverInfo":{server_info}{instructions}}}"#,
            script.capabilities
        );
        let info = ServerInfo {
            era: script.era,
            protocol_version: "2025-03-26".to_owned(),
            capabilities: payload(&script.capabilities),
            server_info: payload(&server_info),
            instructions: script.instructions.clone(),
            raw: payload(&raw),
        };
        Self {
            script,
            key,
            info,
            events: broadcast::channel(64).0,
            closed: AtomicBool::new(false),
            tasks: Tasks::default(),
        }
    }

    /// The tools that do something.
    async fn call(
        &self,
        tool: &str,
        params: &Payload,
        call: Call,
    ) -> Result<Outcome, UpstreamError> {
        match tool {
            "progress" => {
                for n in 1..=2 {
                    let progress = call.call_events.as_ref().expect("somebody listens");
                    let call_events = payload(&format!(
                        r#"{{"progress":{n}.0, "progressToken":77,"message":"\u00e9"}}"#
                    ));
                    progress.send(CallEvent::Progress(call_events)).await.unwrap();
                }
            }
            "step" => {
                let progress = call.call_events.as_ref().expect("somebody listens");
                progress
                    .send(CallEvent::Progress(payload(r#"{"progress":1,"progressToken":77}"#)))
                    .await
                    .unwrap();
                self.script.go_on.notified().await;
                progress
                    .send(CallEvent::Progress(payload(r#"{"progress":2,"progressToken":77}"#)))
                    .await
                    .unwrap();
            }
            // More than may wait for a client that does not read.
            "chatter" => {
                let progress = call.call_events.as_ref().expect("somebody listens");
                for n in 0..100 {
                    let call_events = payload(&format!(r#"{{"progress":{n},"progressToken":77}}"#));
                    progress.send(CallEvent::Progress(call_events)).await.unwrap();
                }
                self.script.finished.fetch_add(1, Ordering::SeqCst);
            }
            "wait" => {
                tokio::select! {
                    () = call.cancel.cancelled() => {
                        self.script.cancelled.fetch_add(1, Ordering::SeqCst);
                        return Err(UpstreamError::Cancelled);
                    }
                    () = self.script.go_on.notified() => {}
                }
            }
            "log" => {
                let params = payload(r#"{"level":"info","data":1.0e5}"#);
                let _ = self.events.send(Event::Notification {
                    method: "notifications/message".to_owned(),
                    params: Some(params),
                });
                self.script.go_on.notified().await;
            }
            "job" => return Ok(self.tasks.make(self.info.era, params)),
            "odd_result" => {
                let result = r#"{"content":[],"inputRequests":{"a":{"method":"roots/list"}},"resultType":"input_required","requestState":"x"}"#;
                return Ok(Outcome::Result(payload(result)));
            }
            "fail" => {
                return Ok(Outcome::Error(payload(
                    r#"{"code":-32050,"message":"no","data":{"n":1.0}}"#,
                )));
            }
            _ => {}
        }
        Ok(echo(&self.script, "tools/call", Some(params)))
    }
}

pub(crate) fn echo(script: &Script, method: &str, params: Option<&Payload>) -> Outcome {
    let params = params.map_or("null", Payload::as_str);
    Outcome::Result(payload(&format!(
        r#"{{"by":"{}", "method":"{method}","params":{params}}}"#,
        script.name
    )))
}

#[async_trait]
impl Peer for FakePeer {
    fn info(&self) -> &ServerInfo {
        &self.info
    }

    fn key(&self) -> &ConnectionKey {
        &self.key
    }

    async fn request(
        &self,
        method: &str,
        params: Option<Payload>,
        call: Call,
    ) -> Result<Outcome, UpstreamError> {
        if self.is_closed() {
            return Err(UpstreamError::Closed { detail: "secret detail".to_owned() });
        }
        let text = params.as_ref().map_or("", Payload::as_str).to_owned();
        self.script.heard.lock().unwrap().push((method.to_owned(), text));
        match (method, &params) {
            ("tools/list", _) => Ok(self.script.page(method, "tools", params.as_ref())),
            ("prompts/list", _) => Ok(self.script.page(method, "prompts", params.as_ref())),
            ("resources/list", _) => Ok(self.script.page(method, "resources", params.as_ref())),
            ("resources/templates/list", _) => {
                Ok(self.script.page(method, "resourceTemplates", params.as_ref()))
            }
            ("tools/call", Some(params)) => {
                let value: serde_json::Value = serde_json::from_str(params.as_str()).unwrap();
                self.call(value["name"].as_str().unwrap(), params, call).await
            }
            (method, Some(params)) if method.starts_with("tasks/") => {
                Ok(self.tasks.answer(&self.script, method, params))
            }
            _ => Ok(echo(&self.script, method, params.as_ref())),
        }
    }

    async fn follow_lists(&self, members: &[&'static str]) {
        self.script.heard.lock().unwrap().push(("follow lists".to_owned(), members.join(" ")));
    }

    async fn end_if_idle(&self) -> bool {
        self.script.heard.lock().unwrap().push(("ended".to_owned(), String::new()));
        true
    }

    async fn follow_task(&self, task: &str, is_wanted: bool) -> Result<bool, UpstreamError> {
        let what = if is_wanted { "follow" } else { "leave" };
        self.script.heard.lock().unwrap().push((what.to_owned(), task.to_owned()));
        Ok(self.tasks.has(task))
    }

    async fn notify(&self, method: &str, params: Option<Payload>) -> Result<(), UpstreamError> {
        let text = params.as_ref().map_or("", Payload::as_str).to_owned();
        self.script.heard.lock().unwrap().push((method.to_owned(), text));
        Ok(())
    }

    fn events(&self) -> broadcast::Receiver<Event> {
        self.events.subscribe()
    }

    fn is_closed(&self) -> bool {
        self.closed.load(Ordering::SeqCst)
    }

    fn hold(&self) -> Box<dyn Any + Send + Sync> {
        Box::new(())
    }
}
