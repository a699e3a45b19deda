//! Keeps the GET stream open on which a legacy server sends messages outside of calls. Servers need
//! not have one. How streams are read is next door, in [`super::exchange`].

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use tokio::time::Instant;

use super::{exchange::Exchange, position::StreamPosition};
use crate::upstream::error::UpstreamError;

const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// A stream that lasted so long was of use.
const WORTH_IT: Duration = Duration::from_secs(5);

/// Runs until the connection closes or the server says that it has no such stream.
pub(super) async fn run(exchange: Arc<Exchange>) {
    let closed = exchange.inbox.closed().clone();
    tokio::select! {
        () = closed.cancelled() => {}
        () = listen(&exchange) => {}
    }
}

async fn listen(exchange: &Exchange) {
    let mut position = StreamPosition::default();
    let mut pause = FIRST_PAUSE;
    loop {
        let opened = exchange.open_stream(&position).await;
        exchange.has_listened.send_replace(true);
        match opened {
            Ok(response) => {
                let (began, before) = (Instant::now(), position.last_id.clone());
                exchange.is_listening.store(true, Ordering::Relaxed);
                let pumped = exchange.pump(response, &mut position, None).await;
                exchange.is_listening.store(false, Ordering::Relaxed);
                if let Err(error) = pumped {
                    tracing::debug!(server = %exchange.inbox.key.server, %error, detail = error.detail(), "the event stream broke");
                }
                // Some servers accept the GET and end the stream at once: the pause grows then
                // (FB36).
                let was_of_use = began.elapsed() >= WORTH_IT || position.last_id != before;
                pause = if was_of_use { FIRST_PAUSE } else { (pause * 2).min(LONGEST_PAUSE) };
                tokio::time::sleep(if was_of_use {
                    position.pause()
                } else {
                    pause.max(position.pause())
                })
                .await;
            }
            Err(UpstreamError::Connect { detail } | UpstreamError::Closed { detail }) => {
                tracing::debug!(server = %exchange.inbox.key.server, detail, "the event stream cannot be opened");
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
            // 409: the server has not noticed yet that an earlier stream of the session ended,
            // perhaps one of another process.
            Err(UpstreamError::Status { status, .. })
                if status >= 500 || matches!(status, 409 | 429) =>
            {
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
            Err(_) => return,
        }
    }
}
