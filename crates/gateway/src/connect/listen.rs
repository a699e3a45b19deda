//! The stream of a legacy session that belongs to no request (MCP 2025-11-25, "Listening for
//! Messages from the Server"): questions and notifications of the server, as long as the session
//! lives.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderValue, Method, StatusCode, header};
use portunus_mcp::wire::{self, Message, protocol::header_name};
use tokio::time::sleep;

use super::{
    error::ConnectError,
    exchange::{Events, Pipe, is_events},
};

const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Keeps the stream of the current session open, whichever that is.
pub(super) async fn run(pipe: Arc<Pipe>) {
    let mut generations = pipe.session.generations();
    loop {
        let generation = *generations.borrow_and_update();
        tokio::select! {
            () = of_session(&pipe, generation) => {
                if generations.changed().await.is_err() {
                    return;
                }
            }
            changed = generations.changed() => if changed.is_err() { return },
        }
    }
}

/// Ends when the server has no such stream.
async fn of_session(pipe: &Pipe, generation: u64) {
    let (mut last_id, mut pause): (Option<HeaderValue>, _) = (None, Duration::from_secs(1));
    loop {
        let current = pipe.session.current();
        if current.generation != generation || generation == 0 {
            return;
        }
        let mut headers = current.headers();
        headers.insert(header::ACCEPT, HeaderValue::from_static("text/event-stream"));
        if let Some(last_id) = &last_id {
            headers.insert(header_name::LAST_EVENT_ID, last_id.clone());
        }
        match pipe.server.send_quietly(&Method::GET, &headers).await {
            Ok(response) if response.status().is_success() && is_events(&response) => {
                let mut events = Events::of(response);
                events.last_id = last_id.take();
                if read(pipe, &mut events).await {
                    pause = events.pause();
                }
                last_id = events.last_id;
            }
            Ok(response) => match response.status() {
                StatusCode::NOT_FOUND if current.id.is_some() => {
                    let _ = pipe.renew(generation).await;
                }
                status if is_temporary(status) => {}
                _ => return,
            },
            Err(ConnectError::Server(_)) => return,
            Err(error) => tracing::debug!(%error, "the server's stream cannot be opened"),
        }
        sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// A stream without a token is for later, when a request of the client has got one.
fn is_temporary(status: StatusCode) -> bool {
    status.is_server_error() && status != StatusCode::NOT_IMPLEMENTED
        || matches!(
            status,
            StatusCode::UNAUTHORIZED
                | StatusCode::TOO_MANY_REQUESTS
                | StatusCode::REQUEST_TIMEOUT
                | StatusCode::CONFLICT
        )
}

/// `true`: there was something in it.
async fn read(pipe: &Pipe, events: &mut Events) -> bool {
    let mut has_any = false;
    while let Ok(Some(event)) = events.next().await {
        has_any = true;
        let message = Bytes::from(event.data);
        match wire::parse(&message) {
            Ok(Message::Request(_) | Message::Notification(_)) => pipe.output.write(&message).await,
            Ok(Message::Response(_)) => {
                tracing::debug!("an answer on the server's own stream is dropped");
            }
            Err(_) if message.is_empty() => {}
            Err(error) => {
                tracing::warn!(%error, "the server sends what is no message of MCP: it is dropped");
            }
        }
    }
    has_any
}
