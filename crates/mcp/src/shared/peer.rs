//! A shared server that runs at another node: the hub asks this peer, which has the owner ask the
//! server.

use std::{any::Any, sync::Arc, time::Duration};

use async_trait::async_trait;
use portunus_core::{ids::ServerName, node::Node};
use tokio::{sync::broadcast, time::Instant};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

use super::{
    frames::Frames,
    messages::{Asked, NodeEvent, NodeRequest},
    owners::{Owners, Undelivered},
};
use crate::{
    client_capabilities::ClientCapabilities,
    era::Era,
    spec::ServerSpec,
    upstream::{
        Activity, Call, CallEvent, ConnectionKey, Event, Hold, Owner, ServerInfo, UpstreamError,
        servers::Peer,
    },
    wire::{Outcome, Payload},
};

/// How many events a slow listener may fall behind before it misses some.
const EVENTS: usize = 64;

pub(super) struct RelayedPeer {
    key: ConnectionKey,
    info: ServerInfo,
    attachment: u64,
    way: Arc<Way>,
    events: broadcast::Sender<Event>,
    closed: CancellationToken,
    activity: Arc<Activity>,
    _listening: AbortOnDropHandle<()>,
}

/// What became of attaching.
pub(super) enum Attached {
    Peer(Arc<RelayedPeer>),
    Undelivered,
}

/// To the owner.
struct Way {
    owners: Arc<dyn Owners>,
    node: Node,
    server: ServerName,
    max: usize,
}

impl Way {
    async fn send(&self, order: &NodeRequest) -> Result<Frames, Undelivered> {
        let pieces = self.owners.send(&self.node, &self.server, order.write()).await?;
        Ok(Frames::new(pieces, self.max))
    }
}

/// `None`: the owner is gone, or speaks another language.
async fn next(frames: &mut Frames) -> Option<NodeEvent> {
    let text = frames.next().await?;
    let word = NodeEvent::read(&text);
    if word.is_none() {
        tracing::warn!("a node says what this one does not understand: is it of another version?");
    }
    word
}

impl RelayedPeer {
    /// Has the server started there, if it is not. The error is what the owner has to say of that.
    pub(super) async fn attach(
        spec: &ServerSpec,
        node: &Node,
        owners: &Arc<dyn Owners>,
        max: usize,
    ) -> Result<Attached, UpstreamError> {
        let server = spec.name.clone();
        let key = ConnectionKey {
            server: server.clone(),
            owner: Owner::AllUsers,
            client_capabilities: ClientCapabilities::default(),
            lane: 0,
            era: Era::Modern,
        };
        let way = Way { owners: Arc::clone(owners), node: node.clone(), server, max };
        let Ok(mut frames) = way.send(&NodeRequest::Attach).await else {
            return Ok(Attached::Undelivered);
        };
        let (attachment, info) = match next(&mut frames).await {
            Some(NodeEvent::Attached(attachment, info)) => (attachment, info),
            Some(NodeEvent::Failed(error)) => return Err(error),
            // Starting a server for no caller does no harm: it can be asked for again.
            _ => return Ok(Attached::Undelivered),
        };
        tracing::debug!(server = %key.server, node = %node.id, "a shared server runs at another node");
        let (events, closed, activity) =
            (broadcast::channel(EVENTS).0, CancellationToken::new(), Arc::<Activity>::default());
        let heard = listen(
            frames,
            events.clone(),
            closed.clone(),
            Arc::clone(&activity),
            spec.idle_timeout,
        );
        let listening = AbortOnDropHandle::new(tokio::spawn(heard));
        let way = Arc::new(way);
        Ok(Attached::Peer(Arc::new(Self {
            key,
            info,
            attachment,
            way,
            events,
            closed,
            activity,
            _listening: listening,
        })))
    }

    pub(super) fn is_at(&self, node: &Node) -> bool {
        self.way.node.id == node.id
    }

    /// Sends what the server is asked. If it did not arrive, the caller may ask on a new
    /// connection: at the next owner.
    async fn ask(&self, order: &NodeRequest) -> Result<Frames, UpstreamError> {
        if self.is_closed() {
            return Err(UpstreamError::SessionExpired);
        }
        match self.way.send(order).await {
            Ok(frames) => Ok(frames),
            Err(Undelivered::Unreached) => Err(self.gone()),
            Err(Undelivered::Broken) => {
                self.closed.cancel();
                Err(UpstreamError::Lost)
            }
        }
    }

    /// The owner is another by now, or has none of this attachment. Nothing was done.
    fn gone(&self) -> UpstreamError {
        self.way.owners.ask_again(&self.key.server);
        self.closed.cancel();
        UpstreamError::SessionExpired
    }

    /// The one thing that the owner has to say to an order.
    async fn told(&self, order: &NodeRequest) -> Result<NodeEvent, UpstreamError> {
        let mut frames = self.ask(order).await?;
        let word = next(&mut frames).await;
        frames.let_end();
        match word {
            Some(NodeEvent::Failed(error)) => Err(error),
            Some(NodeEvent::Unknown) => Err(self.gone()),
            Some(word) => Ok(word),
            None => Err(UpstreamError::Lost),
        }
    }
}

/// Passes on what the server says outside of calls, until the owner says no more or the server
/// was not needed for `idle`.
async fn listen(
    mut frames: Frames,
    events: broadcast::Sender<Event>,
    closed: CancellationToken,
    activity: Arc<Activity>,
    idle: Duration,
) {
    let why = loop {
        let idle_at = activity.idle_since().unwrap_or_else(Instant::now) + idle;
        tokio::select! {
            () = closed.cancelled() => break "the node that runs the server has changed",
            word = next(&mut frames) => match word {
                // No listener is fine.
                Some(NodeEvent::Event(method, params)) => drop(events.send(Event::Notification { method, params })),
                _ => break "the server ended, or the node that runs it",
            },
            () = tokio::time::sleep_until(idle_at) => {
                if activity.idle_since().is_some_and(|since| since.elapsed() >= idle) {
                    break "idle";
                }
            }
        }
    };
    closed.cancel();
    drop(events.send(Event::Closed(why.to_owned())));
}

impl RelayedPeer {
    /// Follows a request to its outcome.
    async fn follow(&self, mut frames: Frames, call: &Call) -> Result<Outcome, UpstreamError> {
        loop {
            let word = tokio::select! {
                biased;
                () = call.cancel.cancelled() => return Err(UpstreamError::Cancelled),
                word = next(&mut frames) => word,
            };
            let call_events = match word {
                Some(NodeEvent::Answered(outcome)) => {
                    frames.let_end();
                    return Ok(outcome);
                }
                Some(NodeEvent::Failed(error)) => return Err(error),
                Some(NodeEvent::Unknown) => return Err(self.gone()),
                Some(NodeEvent::Progress(params)) => CallEvent::Progress(params),
                Some(NodeEvent::Notification(method, params)) => {
                    CallEvent::Notification { method, params }
                }
                _ => return Err(UpstreamError::Lost),
            };
            if let Some(listener) = &call.call_events {
                // A listener that is slow misses some of it.
                drop(listener.try_send(call_events));
            }
        }
    }
}

#[async_trait]
impl Peer for RelayedPeer {
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
        let _busy = Hold::new(&self.activity);
        let asked = Asked {
            method: method.to_owned(),
            params,
            wants_events: call.call_events.is_some(),
            timeout: call.timeout,
        };
        let order = NodeRequest::Request(self.attachment, asked);
        let frames = tokio::select! {
            biased;
            () = call.cancel.cancelled() => return Err(UpstreamError::Cancelled),
            frames = self.ask(&order) => frames?,
        };
        self.follow(frames, &call).await
    }

    async fn notify(&self, method: &str, params: Option<Payload>) -> Result<(), UpstreamError> {
        let _busy = Hold::new(&self.activity);
        self.told(&NodeRequest::Notify(self.attachment, method.to_owned(), params)).await.map(drop)
    }

    async fn follow_task(&self, task: &str, is_wanted: bool) -> Result<bool, UpstreamError> {
        let _busy = Hold::new(&self.activity);
        let told = self
            .told(&NodeRequest::FollowTask(self.attachment, task.to_owned(), is_wanted))
            .await?;
        Ok(matches!(told, NodeEvent::Followed(true)))
    }

    fn events(&self) -> broadcast::Receiver<Event> {
        self.events.subscribe()
    }

    fn is_closed(&self) -> bool {
        self.closed.is_cancelled()
    }

    fn hold(&self) -> Box<dyn Any + Send + Sync> {
        Box::new(Hold::new(&self.activity))
    }
}
