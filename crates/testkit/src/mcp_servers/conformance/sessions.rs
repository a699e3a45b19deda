//! The sessions of legacy clients over HTTP, as rmcp keeps them, plus what a tool needs to close
//! its own response stream in the middle of a call (SEP-1699): rmcp can close one, by a number
//! which it tells only the client. The tool is in [`super::telling`].

use std::{collections::HashMap, time::Duration};

use futures::{Stream, StreamExt};
use rmcp::{
    RoleServer,
    model::{ClientJsonRpcMessage, ClientRequest, RequestId, ServerJsonRpcMessage},
    service::RequestContext,
    transport::streamable_http_server::session::{
        ServerSseMessage, SessionId, SessionManager,
        local::{LocalSessionManager, LocalSessionManagerError},
    },
};
use tokio::sync::watch;

/// The tool whose streams may be closed.
pub(super) const INTERRUPTED: &str = "test_reconnection";
/// How soon a client should come back.
const RETRY: Duration = Duration::from_millis(100);
/// How long a client that comes back is waited for.
const PATIENCE: Duration = Duration::from_secs(10);

/// A call by its session and its id.
type Call = (String, RequestId);

/// The stream of a call that may be closed.
#[derive(Clone, Copy, Debug, Default)]
struct ResponseStream {
    /// What rmcp knows it by, once that is known.
    number: Option<u64>,
    /// The client came back to it.
    resumed: bool,
}

#[derive(Debug)]
pub(super) struct Sessions {
    local: LocalSessionManager,
    streams: watch::Sender<HashMap<Call, ResponseStream>>,
}

impl Default for Sessions {
    fn default() -> Self {
        let mut local = LocalSessionManager::default();
        local.session_config.sse_retry = Some(RETRY);
        Self { local, streams: watch::Sender::default() }
    }
}

impl Sessions {
    /// Closes the stream of this very call, and waits until the client is back for the rest: rmcp
    /// forgets what it sent once the answer is out. Does nothing for a call that has no such
    /// stream.
    pub(super) async fn interrupt(&self, context: &RequestContext<RoleServer>) {
        let headers = context.extensions.get::<http::request::Parts>().map(|parts| &parts.headers);
        let Some(session) =
            headers.and_then(|headers| headers.get("mcp-session-id")?.to_str().ok())
        else {
            return;
        };
        let call = (session.to_owned(), context.id.clone());
        let _ = tokio::time::timeout(PATIENCE, self.close_and_wait(&call)).await;
        self.streams.send_modify(|streams| {
            streams.remove(&call);
        });
    }

    async fn close_and_wait(&self, call: &Call) -> Option<()> {
        let mut changes = self.streams.subscribe();
        let known = changes
            .wait_for(|streams| streams.get(call).is_none_or(|stream| stream.number.is_some()));
        let number = known.await.ok()?.get(call)?.number?;
        let session = self.local.sessions.read().await.get(call.0.as_str()).cloned()?;
        session.close_sse_stream(number, Some(RETRY)).await.ok()?;
        changes
            .wait_for(|streams| streams.get(call).is_some_and(|stream| stream.resumed))
            .await
            .ok()?;
        Some(())
    }
}

/// The number in the id of an event, `{index}/{number}`.
fn stream_number(event: &str) -> Option<u64> {
    event.split_once('/')?.1.parse().ok()
}

/// The id of a call whose stream may be closed.
fn interrupted(message: &ClientJsonRpcMessage) -> Option<RequestId> {
    let ClientJsonRpcMessage::Request(request) = message else { return None };
    let ClientRequest::CallToolRequest(call) = &request.request else { return None };
    (call.params.name == INTERRUPTED).then(|| request.id.clone())
}

type Outcome<T> = Result<T, LocalSessionManagerError>;

impl SessionManager for Sessions {
    type Error = LocalSessionManagerError;
    type Transport = <LocalSessionManager as SessionManager>::Transport;

    async fn create_session(&self) -> Outcome<(SessionId, Self::Transport)> {
        self.local.create_session().await
    }

    async fn initialize_session(
        &self,
        id: &SessionId,
        message: ClientJsonRpcMessage,
    ) -> Outcome<ServerJsonRpcMessage> {
        self.local.initialize_session(id, message).await
    }

    async fn has_session(&self, id: &SessionId) -> Outcome<bool> {
        self.local.has_session(id).await
    }

    async fn close_session(&self, id: &SessionId) -> Outcome<()> {
        self.local.close_session(id).await
    }

    async fn create_stream(
        &self,
        id: &SessionId,
        message: ClientJsonRpcMessage,
    ) -> Outcome<impl Stream<Item = ServerSseMessage> + Send + Sync + 'static> {
        let call = interrupted(&message).map(|request| (id.to_string(), request));
        if let Some(call) = &call {
            self.streams.send_modify(|streams| {
                streams.insert(call.clone(), ResponseStream::default());
            });
        }
        let streams = self.streams.clone();
        let events = self.local.create_stream(id, message).await?;
        // The first event, which is empty, names the stream.
        Ok(events.inspect(move |event| {
            let Some((call, number)) =
                call.as_ref().zip(event.event_id.as_deref().and_then(stream_number))
            else {
                return;
            };
            streams.send_modify(|streams| {
                if let Some(stream) = streams.get_mut(call) {
                    stream.number = Some(number);
                }
            });
        }))
    }

    async fn accept_message(&self, id: &SessionId, message: ClientJsonRpcMessage) -> Outcome<()> {
        self.local.accept_message(id, message).await
    }

    async fn create_standalone_stream(
        &self,
        id: &SessionId,
    ) -> Outcome<impl Stream<Item = ServerSseMessage> + Send + Sync + 'static> {
        self.local.create_standalone_stream(id).await
    }

    async fn resume(
        &self,
        id: &SessionId,
        last_event_id: String,
    ) -> Outcome<impl Stream<Item = ServerSseMessage> + Send + Sync + 'static> {
        let number = stream_number(&last_event_id);
        let events = self.local.resume(id, last_event_id).await?;
        self.streams.send_modify(|streams| {
            for ((session, _), stream) in streams {
                stream.resumed |= **session == **id && number.is_some() && stream.number == number;
            }
        });
        Ok(events)
    }
}
