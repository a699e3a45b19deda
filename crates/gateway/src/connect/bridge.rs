//! What the client writes, line by line, until its end. Each request runs in a task of its own;
//! notifications and answers go one after the other, in their order.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use portunus_mcp::{
    bridge::{Line, Lines},
    wire::{
        self, Message, Payload, RequestId, WireError,
        protocol::{method, notification},
    },
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
    time::timeout,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    credentials::Credentials,
    error::ConnectError,
    exchange::{Asked, Era, Pipe},
    listen,
    options::Options,
    output::Output,
    server::Server,
    session::Session,
    tool_headers::ToolHeaders,
};

/// The longest message of a client, in bytes.
const MAX_LINE: usize = 16 * 1024 * 1024;
/// Requests under way, and their bytes.
const MAX_REQUESTS: usize = 256;
const MAX_REQUEST_KIB: usize = 64 * 1024;
/// Notifications and answers that wait to be sent, and their bytes.
const MAX_WAITING: usize = 256;
const MAX_WAITING_KIB: usize = 32 * 1024;
/// How long one of those may take.
const TELL_LIMIT: Duration = Duration::from_secs(60);
/// How long requests may go on when the client writes no more.
const LAST_ANSWERS: Duration = Duration::from_secs(60);
const GOODBYE: Duration = Duration::from_secs(2);

/// Runs until the client has closed its side, or `stop` is cancelled.
pub async fn run(
    options: &Options,
    credentials: Option<Arc<Credentials>>,
    input: impl AsyncRead + Unpin,
    output: Box<dyn AsyncWrite + Send + Unpin>,
    stop: CancellationToken,
) -> Result<(), ConnectError> {
    let pipe = Arc::new(Pipe {
        server: Server::new(options, credentials.clone())?,
        session: Session::default(),
        output: Arc::new(Output::new(output, stop.clone())),
        tools: ToolHeaders::default(),
    });
    let bridge = Bridge::new(Arc::clone(&pipe));
    let listening = tokio::spawn(listen::run(Arc::clone(&pipe)));
    let mut lines = Lines::new(input, MAX_LINE);
    loop {
        let line = tokio::select! {
            line = lines.next() => line,
            () = stop.cancelled() => break,
        };
        match line {
            Ok(Some(line)) => tokio::select! {
                () = bridge.take(line) => {}
                () = stop.cancelled() => break,
            },
            Ok(None) | Err(_) => break,
        }
    }
    tokio::select! {
        () = bridge.finish() => {}
        () = stop.cancelled() => {}
    }
    listening.abort();
    let _ = timeout(GOODBYE, async { tokio::join!(pipe.output.drain(), pipe.end()) }).await;
    if let Some(credentials) = credentials {
        credentials.settle().await;
    }
    Ok(())
}

/// A sign-in by itself, for the client that comes later. `false`: the server wants none.
pub async fn sign_in(options: &Options, credentials: Credentials) -> Result<bool, ConnectError> {
    Server::new(options, Some(Arc::new(credentials)))?.sign_in().await
}

struct Bridge {
    pipe: Arc<Pipe>,
    tasks: TaskTracker,
    under_way: Arc<Mutex<HashMap<RequestId, UnderWay>>>,
    room: Arc<Semaphore>,
    waiting: mpsc::Sender<Waiting>,
    waiting_room: Arc<Semaphore>,
}

/// A request that is not answered yet.
#[derive(Clone)]
struct UnderWay {
    cancelled: CancellationToken,
    era: Era,
    /// It ends when the client does.
    is_stream: bool,
}

/// A notification, or an answer to a question of the server.
struct Waiting {
    message: Bytes,
    _room: OwnedSemaphorePermit,
    /// The request that it cancels.
    ends: Option<CancellationToken>,
}

impl Bridge {
    fn new(pipe: Arc<Pipe>) -> Self {
        let (waiting, mut queued) = mpsc::channel::<Waiting>(MAX_WAITING);
        let teller = Arc::clone(&pipe);
        tokio::spawn(async move {
            while let Some(next) = queued.recv().await {
                tell(&teller, &next.message).await;
                if let Some(request) = next.ends {
                    request.cancel();
                }
            }
        });
        Self {
            pipe,
            tasks: TaskTracker::new(),
            under_way: Arc::default(),
            room: Arc::new(Semaphore::new(MAX_REQUEST_KIB)),
            waiting,
            waiting_room: Arc::new(Semaphore::new(MAX_WAITING_KIB)),
        }
    }

    async fn take(&self, line: Line) {
        let line = match line {
            Line::Whole(line) if line.iter().all(u8::is_ascii_whitespace) => return,
            Line::Whole(line) => Bytes::from(line),
            Line::TooLong { id } => {
                let id = id.map(RequestId::number);
                return self
                    .refuse(id.as_ref(), wire::code::INVALID_REQUEST, "the message is too long")
                    .await;
            }
        };
        match wire::parse(&line) {
            Ok(Message::Request(request)) => {
                let era = era_of(request.params.as_ref());
                self.ask(Asked {
                    id: request.id,
                    method: request.method,
                    params: request.params,
                    message: line,
                    era,
                })
                .await;
            }
            Ok(Message::Notification(told)) if told.method == notification::INITIALIZED => {
                // Requests come after it.
                tell(&self.pipe, &line).await;
                self.pipe.session.announce();
            }
            Ok(Message::Notification(told)) if told.method == notification::CANCELLED => {
                self.cancel(told.params.as_ref(), line);
            }
            Ok(Message::Notification(_) | Message::Response(_)) => self.tell_later(line, None),
            Err(error @ WireError::Parse(_)) => {
                self.refuse(None, wire::code::PARSE_ERROR, &error.to_string()).await;
            }
            Err(error) => self.refuse(None, wire::code::INVALID_REQUEST, &error.to_string()).await,
        }
    }

    async fn ask(&self, asked: Asked) {
        let room = Arc::clone(&self.room).try_acquire_many_owned(kib(&asked.message));
        let (Ok(room), true) = (room, self.tasks.len() < MAX_REQUESTS) else {
            return self
                .refuse(
                    Some(&asked.id),
                    wire::code::INTERNAL_ERROR,
                    "too many requests are under way",
                )
                .await;
        };
        let cancelled = CancellationToken::new();
        let id = asked.id.clone();
        let is_stream = asked.method == method::SUBSCRIPTIONS_LISTEN;
        let entry = UnderWay { cancelled: cancelled.clone(), era: asked.era.clone(), is_stream };
        self.under_way().insert(id.clone(), entry);
        let (pipe, under_way) = (Arc::clone(&self.pipe), Arc::clone(&self.under_way));
        self.tasks.spawn(async move {
            let _room = room;
            tokio::select! {
                () = pipe.request(&asked) => {}
                () = cancelled.cancelled() => {}
            }
            under_way.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
        });
    }

    /// A server of the modern era sees a connection closed (MCP 2026-07-28, Streamable HTTP,
    /// "Cancellation"); one of the legacy era is told.
    fn cancel(&self, params: Option<&Payload>, line: Bytes) {
        let id = params
            .and_then(|params| wire::find_member(params, &["requestId"]))
            .and_then(RequestId::from_payload);
        let Some(id) = id else { return };
        let Some(found) = self.under_way().get(&id).cloned() else { return };
        if found.era == Era::Legacy {
            self.tell_later(line, Some(found.cancelled));
        } else {
            found.cancelled.cancel();
        }
    }

    fn tell_later(&self, message: Bytes, ends: Option<CancellationToken>) {
        let room = Arc::clone(&self.waiting_room).try_acquire_many_owned(kib(&message));
        let is_taken = room.is_ok_and(|room| {
            self.waiting.try_send(Waiting { message, _room: room, ends }).is_ok()
        });
        if !is_taken {
            tracing::warn!(
                "the server takes no more: a notification, or an answer to it, is dropped"
            );
        }
    }

    async fn refuse(&self, id: Option<&RequestId>, code: i64, text: &str) {
        self.pipe.output.write(&wire::error(id, code, text, None)).await;
    }

    /// What was asked is answered; streams that end with nothing are not waited for.
    async fn finish(self) {
        for stream in self.under_way().values().filter(|one| one.is_stream) {
            stream.cancelled.cancel();
        }
        self.tasks.close();
        let _ = timeout(LAST_ANSWERS, async {
            self.tasks.wait().await;
            self.pipe.output.drain().await;
        })
        .await;
    }

    fn under_way(&self) -> std::sync::MutexGuard<'_, HashMap<RequestId, UnderWay>> {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn tell(pipe: &Pipe, message: &Bytes) {
    let told = timeout(TELL_LIMIT, pipe.tell(message)).await;
    let told = told.unwrap_or_else(|_| Err(ConnectError::Server("no answer in time".to_owned())));
    if let Err(error) = told {
        tracing::warn!(%error, "the server did not take a notification, or an answer to it");
    }
}

fn era_of(params: Option<&Payload>) -> Era {
    let version =
        params.and_then(|params| wire::meta_of(params).ok()).and_then(|meta| meta.protocol_version);
    version.map_or(Era::Legacy, Era::Modern)
}

fn kib(message: &Bytes) -> u32 {
    u32::try_from(message.len() / 1024 + 1).unwrap_or(u32::MAX)
}
