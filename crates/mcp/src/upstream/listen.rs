//! The stream on which a modern server announces changes (MCP 2026-07-28, subscriptions): one
//! `subscriptions/listen` at a time, opened again when another resource or task is wanted or when
//! it breaks. Its messages are [`super::Event`]s, as those of a server of the legacy era.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use serde_json::{Map, Value, json};
use tokio::sync::{broadcast, watch};
use tokio_util::task::AbortOnDropHandle;

use super::{
    call::{Call, ask},
    error::UpstreamError,
    inbox::{Event, Inbox},
    link::Link,
    modern,
    rpc_error::RpcError,
    server_info::ServerInfo,
};
use crate::wire::{
    self, Outcome, Payload, capabilities, code,
    protocol::{capability, filter, member, method, notification},
};

/// How long the acknowledgement may take.
const ACKNOWLEDGED: Duration = Duration::from_secs(10);
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// The stream has no end of its own.
const FOREVER: Duration = Duration::from_secs(365 * 24 * 3600);
/// The lists that may change: capability, member of the filter, notification.
const LISTS: [(&str, &str, &str); 3] = [
    (capability::TOOLS, filter::TOOLS_LIST_CHANGED, notification::TOOLS_LIST_CHANGED),
    (capability::PROMPTS, filter::PROMPTS_LIST_CHANGED, notification::PROMPTS_LIST_CHANGED),
    (capability::RESOURCES, filter::RESOURCES_LIST_CHANGED, notification::RESOURCES_LIST_CHANGED),
];

/// What a server can be asked to announce changes of, besides the lists that it has declared.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Subject {
    /// By its URI.
    Resource(String),
    /// By its id: of the extension `io.modelcontextprotocol/tasks`.
    Task(String),
    /// By the member of the filter: a list whose changes the server has not declared, but may
    /// announce (FB42).
    List(&'static str),
}

/// The subjects that are wanted; `turn` counts their changes.
#[derive(Clone, Default)]
struct Wanted {
    turn: u64,
    subjects: BTreeSet<Subject>,
}

/// The subjects that the server agreed to, at the latest `turn`.
#[derive(Clone, Default)]
struct Settled {
    turn: u64,
    subjects: BTreeSet<Subject>,
}

pub(super) struct Listening {
    wanted: watch::Sender<Wanted>,
    settled: watch::Receiver<Settled>,
}

impl Listening {
    /// Starts listening, until the connection closes.
    pub(super) fn start(inbox: &Arc<Inbox>, link: &Arc<dyn Link>, info: &ServerInfo) -> Self {
        let lists = LISTS.iter().filter(|(capability, ..)| {
            capabilities::has_flag(&info.capabilities, capability, capability::LIST_CHANGED)
        });
        let (wanted, on_wanted) = watch::channel(Wanted::default());
        let (on_settled, settled) = watch::channel(Settled::default());
        let listener = Listener {
            inbox: Arc::clone(inbox),
            link: Arc::clone(link),
            lists: lists.copied().collect(),
            settled: on_settled,
        };
        let closed = inbox.closed().clone();
        tokio::spawn(async move {
            tokio::select! {
                () = closed.cancelled() => {}
                () = listener.run(on_wanted) => {}
            }
        });
        Self { wanted, settled }
    }

    /// Does what `resources/subscribe` and `resources/unsubscribe` do in the legacy era.
    pub(super) async fn subscribe(
        &self,
        uri: String,
        is_wanted: bool,
        timeout: Duration,
    ) -> Result<Outcome, UpstreamError> {
        if self.change(Subject::Resource(uri), is_wanted, timeout).await? {
            return Ok(Outcome::Result(wire::object(&[])));
        }
        let refusal = RpcError::new(
            code::INVALID_PARAMS,
            "the server does not tell of changes of this resource",
        );
        Ok(Outcome::Error(refusal.object()))
    }

    /// Subscribes to a subject, or unsubscribes. Returns when the server has answered; `false`: it
    /// did not agree.
    pub(super) async fn change(
        &self,
        subject: Subject,
        is_wanted: bool,
        timeout: Duration,
    ) -> Result<bool, UpstreamError> {
        let mut turn = 0;
        self.wanted.send_modify(|wanted| {
            wanted.turn += 1;
            turn = wanted.turn;
            if is_wanted {
                wanted.subjects.insert(subject.clone());
            } else {
                wanted.subjects.remove(&subject);
            }
        });
        if !is_wanted {
            return Ok(true);
        }
        let mut settled = self.settled.clone();
        let settled =
            tokio::time::timeout(timeout, settled.wait_for(|settled| settled.turn >= turn)).await;
        let settled = settled
            .map_err(|_| UpstreamError::Timeout)?
            .map_err(|_| UpstreamError::closed("closed"))?
            .clone();
        if settled.subjects.contains(&subject) {
            return Ok(true);
        }
        self.wanted.send_modify(|wanted| {
            wanted.turn += 1;
            wanted.subjects.remove(&subject);
        });
        Ok(false)
    }
}

struct Listener {
    inbox: Arc<Inbox>,
    link: Arc<dyn Link>,
    /// The lists whose changes the server has declared that it announces.
    lists: Vec<(&'static str, &'static str, &'static str)>,
    settled: watch::Sender<Settled>,
}

type Stream = AbortOnDropHandle<Result<Outcome, UpstreamError>>;

impl Listener {
    async fn run(&self, mut wanted: watch::Receiver<Wanted>) {
        let mut pause = FIRST_PAUSE;
        let mut earlier: Option<Stream> = None;
        loop {
            let want = wanted.borrow_and_update().clone();
            if self.lists.is_empty() && want.subjects.is_empty() {
                earlier = None;
                self.settle(want.turn, BTreeSet::new());
                if wanted.changed().await.is_err() {
                    return;
                }
                continue;
            }
            let mut events = self.inbox.events();
            let mut stream = self.open(&want.subjects);
            let accepted = tokio::select! {
                accepted = acknowledged(&mut events) => Some(accepted),
                _ = &mut stream => None,
                () = tokio::time::sleep(ACKNOWLEDGED) => None,
            };
            // Only now, so that no change is missed between two streams.
            drop(earlier.take());
            let is_open = accepted.is_some();
            let agreed_lists = accepted.clone().unwrap_or_default();
            self.settle(want.turn, accepted.unwrap_or_default());
            if is_open {
                pause = FIRST_PAUSE;
                tokio::select! {
                    changed = wanted.changed() => match changed {
                        Ok(()) => {
                            earlier = Some(stream);
                            continue;
                        }
                        Err(_) => return,
                    },
                    _ = &mut stream => {}
                }
            }
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                changed = wanted.changed() => if changed.is_err() { return },
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
            if is_open {
                // No stream announced the changes of the meantime, so all lists count as changed.
                let is_told = |member| {
                    self.lists.iter().any(|(_, declared, _)| *declared == member)
                        || agreed_lists.contains(&Subject::List(member))
                };
                for (_, _, notification) in LISTS.iter().filter(|(_, member, _)| is_told(*member)) {
                    self.inbox.tell((*notification).to_owned(), None);
                }
            }
        }
    }

    fn settle(&self, turn: u64, subjects: BTreeSet<Subject>) {
        self.settled.send_replace(Settled { turn, subjects });
    }

    fn open(&self, subjects: &BTreeSet<Subject>) -> Stream {
        let mut wanted: Map<String, Value> =
            self.lists.iter().map(|(_, member, _)| ((*member).to_owned(), json!(true))).collect();
        for subject in subjects {
            let (member, name) = match subject {
                Subject::Resource(uri) => (filter::RESOURCE_SUBSCRIPTIONS, uri),
                Subject::Task(id) => (filter::TASK_IDS, id),
                Subject::List(member) => {
                    wanted.insert((*member).to_owned(), json!(true));
                    continue;
                }
            };
            if let Some(names) = wanted.entry(member).or_insert_with(|| json!([])).as_array_mut() {
                names.push(name.as_str().into());
            }
        }
        let params = Payload::from_value(&json!({ (member::NOTIFICATIONS): wanted }));
        let (inbox, link) = (Arc::clone(&self.inbox), Arc::clone(&self.link));
        AbortOnDropHandle::new(tokio::spawn(async move {
            let params =
                modern::own_params(Some(&params), &inbox.key.client_capabilities.capabilities())?;
            let headers = modern::headers(method::SUBSCRIPTIONS_LISTEN, Some(&params), None)?;
            let call = Call { timeout: Some(FOREVER), headers, ..Call::default() };
            ask(&inbox, &link, method::SUBSCRIPTIONS_LISTEN, Some(params), call, FOREVER).await
        }))
    }
}

/// Waits for the acknowledgement; the subjects that the server agreed to.
async fn acknowledged(events: &mut broadcast::Receiver<Event>) -> BTreeSet<Subject> {
    loop {
        match events.recv().await {
            Ok(Event::Notification { method, params })
                if method == notification::SUBSCRIPTIONS_ACKNOWLEDGED =>
            {
                let agreed: Value =
                    params.and_then(|params| params.read().ok()).unwrap_or_default();
                let names = |member: &str| {
                    let names = agreed[member::NOTIFICATIONS][member]
                        .as_array()
                        .cloned()
                        .unwrap_or_default();
                    names.into_iter().filter_map(|name| name.as_str().map(str::to_owned))
                };
                let lists = LISTS
                    .iter()
                    .map(|(_, member, _)| *member)
                    .filter(|member| agreed[member::NOTIFICATIONS][*member] == true);
                let subjects = names(filter::RESOURCE_SUBSCRIPTIONS)
                    .map(Subject::Resource)
                    .chain(names(filter::TASK_IDS).map(Subject::Task));
                return subjects.chain(lists.map(Subject::List)).collect();
            }
            Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => {}
            Err(broadcast::error::RecvError::Closed) => std::future::pending().await,
        }
    }
}
