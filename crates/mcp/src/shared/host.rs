//! What the owner of shared servers does for other nodes: takes their requests, has its own
//! connections do them, and says what comes of it. What a shared child asks belongs to no session,
//! here or at another node: its connection has answered already (threat 50).

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, Weak,
        atomic::{AtomicU64, Ordering},
    },
};

use bytes::Bytes;
use futures::{StreamExt as _, stream};
use portunus_core::ids::{ClientId, ServerName, UserId};
use tokio::sync::{broadcast::error::RecvError, mpsc};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

use super::{
    frames::{ALIVE_EVERY, frame},
    local::{Local, OURS},
    messages::{Asked, NodeEvent, NodeRequest},
    owners::Pieces,
};
use crate::{
    client_capabilities::ClientCapabilities,
    era::Era,
    sync::locked,
    upstream::{
        Call, CallEvent, ConnectionUser, Event, Person, UpstreamError, Upstreams,
        servers::Peer as _,
    },
    wire::protocol::notification,
};

/// How much of what is said may wait for its way.
const WAITING: usize = 64;
const CHANGES: [&str; 3] = [
    notification::TOOLS_LIST_CHANGED,
    notification::PROMPTS_LIST_CHANGED,
    notification::RESOURCES_LIST_CHANGED,
];

pub(super) struct SharedServerHost {
    upstreams: Arc<Upstreams>,
    locals: Mutex<HashMap<ServerName, Arc<Local>>>,
    /// Each lives as long as its stream or a call of it.
    attachments: Mutex<HashMap<u64, Weak<Attachment>>>,
    next: AtomicU64,
}

/// Another node that uses a server here.
struct Attachment {
    number: u64,
    host: Weak<SharedServerHost>,
    local: Arc<Local>,
}

impl Drop for Attachment {
    fn drop(&mut self) {
        if let Some(host) = self.host.upgrade() {
            locked(&host.attachments).remove(&self.number);
        }
        let (local, number) = (Arc::clone(&self.local), self.number);
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move { local.release(number).await });
        }
    }
}

impl SharedServerHost {
    pub(super) fn new(upstreams: Arc<Upstreams>) -> Self {
        Self {
            upstreams,
            locals: Mutex::default(),
            attachments: Mutex::default(),
            next: AtomicU64::new(OURS + 1),
        }
    }

    /// The server's connection, on this node.
    pub(super) async fn local(
        &self,
        server: &ServerName,
        connection_user: &ConnectionUser,
    ) -> Result<Arc<Local>, UpstreamError> {
        let connection = self.upstreams.connection(server, connection_user).await?;
        let mut locals = locked(&self.locals);
        match locals.get(server) {
            Some(local) if Arc::ptr_eq(&local.connection, &connection) => Ok(Arc::clone(local)),
            _ => {
                let local = Arc::new(Local::new(connection));
                locals.insert(server.clone(), Arc::clone(&local));
                Ok(local)
            }
        }
    }

    pub(super) fn servers(&self) -> Vec<ServerName> {
        let mut locals = locked(&self.locals);
        locals.retain(|_, local| !local.is_closed());
        locals.keys().cloned().collect()
    }

    pub(super) fn is_busy(&self, server: &ServerName) -> bool {
        locked(&self.locals).get(server).is_some_and(|local| local.connection.is_at_work())
    }

    /// See [`super::SharedServers::take`].
    pub(super) fn take(
        self: &Arc<Self>,
        server: &ServerName,
        order: &Bytes,
        leaving: &CancellationToken,
    ) -> Option<Pieces> {
        let Some(order) = NodeRequest::read(order) else {
            return Some(say_once(NodeEvent::Failed(UpstreamError::protocol(
                "an order of another version",
            ))));
        };
        // What began here ends here, which an answer may be needed for; nothing else begins.
        if leaving.is_cancelled() && matches!(order, NodeRequest::Attach | NodeRequest::Request(..))
        {
            return None;
        }
        let of = |number: u64| {
            let found = locked(&self.attachments).get(&number).and_then(Weak::upgrade);
            found.filter(|attachment| attachment.local.key().server == *server)
        };
        let pieces = match order {
            NodeRequest::Attach => {
                let (host, server, leaving) = (Arc::clone(self), server.clone(), leaving.clone());
                say(move |words| async move {
                    tokio::select! {
                        () = host.attach(&server, &words) => {}
                        () = leaving.cancelled() => {}
                    }
                })
            }
            NodeRequest::Request(number, asked) => match of(number) {
                Some(attachment) => say(move |words| attachment.request(asked, words)),
                None => say_once(NodeEvent::Unknown),
            },
            NodeRequest::Notify(number, method, params) => match of(number) {
                Some(attachment) => say(move |words| async move {
                    let sent = attachment.local.notify(&method, params).await;
                    let _ =
                        words.send(sent.map_or_else(NodeEvent::Failed, |()| NodeEvent::Done)).await;
                }),
                None => say_once(NodeEvent::Unknown),
            },
            NodeRequest::FollowTask(number, task, is_wanted) => match of(number) {
                Some(attachment) => say(move |words| async move {
                    let follows = attachment.local.follow_task(&task, is_wanted).await;
                    let _ = words
                        .send(follows.map_or_else(NodeEvent::Failed, NodeEvent::Followed))
                        .await;
                }),
                None => say_once(NodeEvent::Unknown),
            },
        };
        Some(pieces)
    }

    /// Says what the server says outside of calls, until its connection ends.
    async fn attach(self: &Arc<Self>, server: &ServerName, words: &mpsc::Sender<NodeEvent>) {
        // The other node may have another configuration: what is not shared here is not shared
        // with it.
        if self.upstreams.find_shared_child(server).is_none() {
            return drop(words.send(NodeEvent::Failed(UpstreamError::NotFound)).await);
        }
        // Of a child that all users share it does not matter who asks for it.
        let any_user = ConnectionUser {
            user: UserId::from_text("any user"),
            client: ClientId::from_text("any client"),
            session: None,
            client_capabilities: ClientCapabilities::default(),
            person: Person::default(),
            lane: 0,
            era: Era::Modern,
        };
        let local = match self.local(server, &any_user).await {
            Ok(local) => local,
            Err(error) => return drop(words.send(NodeEvent::Failed(error)).await),
        };
        let mut events = local.events();
        let _held = local.hold();
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let attachment =
            Arc::new(Attachment { number, host: Arc::downgrade(self), local: Arc::clone(&local) });
        locked(&self.attachments).insert(number, Arc::downgrade(&attachment));
        if words.send(NodeEvent::Attached(number, local.info().clone())).await.is_err()
            || local.is_closed()
        {
            return;
        }
        loop {
            let said = match events.recv().await {
                Ok(Event::Notification { method, params }) => {
                    vec![NodeEvent::Event(method, params)]
                }
                // Of sessions of another node, which are told of progress while their call is under
                // way.
                Ok(Event::LateProgress { .. }) => Vec::new(),
                // Too much at once: any of it may have been a change.
                Err(RecvError::Lagged(_)) => {
                    CHANGES.map(|method| NodeEvent::Event(method.to_owned(), None)).into()
                }
                Ok(Event::Closed(_)) | Err(RecvError::Closed) => return,
            };
            for word in said {
                if words.send(word).await.is_err() {
                    return;
                }
            }
        }
    }
}

impl Attachment {
    async fn request(self: Arc<Self>, asked: Asked, words: mpsc::Sender<NodeEvent>) {
        let Asked { method, params, wants_events, timeout } = asked;
        let (sender, mut call_events) = mpsc::channel(WAITING);
        let call = Call { call_events: wants_events.then_some(sender), timeout, ..Call::default() };
        let answer = self.local.request_of(self.number, &method, params, call);
        tokio::pin!(answer);
        let last = loop {
            tokio::select! {
                biased;
                Some(call_event) = call_events.recv() => tell(call_event, &words).await,
                answer = &mut answer => break answer.map_or_else(NodeEvent::Failed, NodeEvent::Answered),
            }
        };
        while let Ok(call_event) = call_events.try_recv() {
            tell(call_event, &words).await;
        }
        let _ = words.send(last).await;
    }
}

/// `None`: no other node is told.
fn word_of(call_event: CallEvent) -> Option<NodeEvent> {
    match call_event {
        CallEvent::Progress(params) => Some(NodeEvent::Progress(params)),
        CallEvent::Notification { method, params } => Some(NodeEvent::Notification(method, params)),
        CallEvent::Ask(_) => None,
    }
}

async fn tell(call_event: CallEvent, words: &mpsc::Sender<NodeEvent>) {
    if let Some(word) = word_of(call_event) {
        // The node may be gone; its call then ends with it.
        let _ = words.send(word).await;
    }
}

fn say_once(word: NodeEvent) -> Pieces {
    stream::once(async move { Ok(frame(&word.write())) }).boxed()
}

/// What `work` says, with signs of life in between. Dropping the stream ends the work.
fn say<F: Future<Output = ()> + Send + 'static>(
    work: impl FnOnce(mpsc::Sender<NodeEvent>) -> F,
) -> Pieces {
    let (sender, words) = mpsc::channel(WAITING);
    let working = AbortOnDropHandle::new(tokio::spawn(work(sender)));
    let spoken = stream::unfold((words, working), |(mut words, working)| async move {
        let piece = match tokio::time::timeout(ALIVE_EVERY, words.recv()).await {
            Ok(said) => frame(&said?.write()),
            Err(_) => frame(b""),
        };
        Some((Ok(piece), (words, working)))
    });
    spoken.boxed()
}
