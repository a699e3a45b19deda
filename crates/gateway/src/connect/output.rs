//! What the client reads: one message a line, whole, and nothing else. One task owns the pipe, so
//! that no request that is given up leaves half a line there.

use std::sync::Arc;

use bytes::Bytes;
use tokio::{
    io::{AsyncWrite, AsyncWriteExt as _},
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
};
use tokio_util::{
    sync::CancellationToken,
    task::{TaskTracker, task_tracker::TaskTrackerToken},
};

/// Lines that the client has not read yet. One that is longer by itself waits for all others.
const MAX_UNREAD_KIB: usize = 32 * 1024;

pub(super) struct Output {
    lines: mpsc::UnboundedSender<Line>,
    room: Arc<Semaphore>,
    unread: TaskTracker,
    /// Cancelled when the client reads no more.
    closed: CancellationToken,
}

struct Line {
    text: Vec<u8>,
    _room: OwnedSemaphorePermit,
    _unread: TaskTrackerToken,
}

impl Output {
    pub(super) fn new(to: Box<dyn AsyncWrite + Send + Unpin>, closed: CancellationToken) -> Self {
        let (lines, queued) = mpsc::unbounded_channel();
        tokio::spawn(write_all(to, queued, closed.clone()));
        let room = Arc::new(Semaphore::new(MAX_UNREAD_KIB));
        Self { lines, room, unread: TaskTracker::new(), closed }
    }

    /// Takes one message, whose JSON is sound, to be written. Line ends in it, which are white
    /// space there, become spaces; every other byte stays. Waits while the client reads slowly;
    /// when that is given up, nothing of the message is written.
    pub(super) async fn write(&self, message: &Bytes) {
        let kib = (message.len() / 1024 + 1).min(MAX_UNREAD_KIB);
        let kib = u32::try_from(kib).unwrap_or(u32::MAX);
        let room = tokio::select! {
            room = Arc::clone(&self.room).acquire_many_owned(kib) => room,
            () = self.closed.cancelled() => return,
        };
        let Ok(room) = room else { return };
        let mut text = Vec::with_capacity(message.len() + 1);
        text.extend(message.iter().map(|byte| match byte {
            b'\n' | b'\r' => b' ',
            other => *other,
        }));
        text.push(b'\n');
        // The other end is gone when the client is.
        let _ = self.lines.send(Line { text, _room: room, _unread: self.unread.token() });
    }

    /// Waits until the client has got what was written so far.
    pub(super) async fn drain(&self) {
        self.unread.close();
        self.unread.wait().await;
    }
}

/// Writes line after line. Nothing but the client's end stops it within one.
async fn write_all(
    mut to: Box<dyn AsyncWrite + Send + Unpin>,
    mut queued: mpsc::UnboundedReceiver<Line>,
    closed: CancellationToken,
) {
    while let Some(line) = queued.recv().await {
        let written = async {
            to.write_all(&line.text).await?;
            to.flush().await
        };
        if written.await.is_err() {
            closed.cancel();
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;
    use tokio::io::{AsyncReadExt as _, duplex};

    use super::*;

    #[tokio::test]
    async fn a_write_that_is_given_up_leaves_no_half_of_a_line() {
        let (theirs, mut ours) = duplex(8);
        let output = Output::new(Box::new(theirs), CancellationToken::new());
        let long = Bytes::from(format!("{{\"n\":\"{}\"}}", "x".repeat(100)));
        let mut first = [0; 8];
        tokio::select! {
            () = output.write(&long) => {
                ours.read_exact(&mut first).await.unwrap();
            }
            read = ours.read_exact(&mut first) => {
                read.unwrap();
            }
        }
        let rest = tokio::spawn(async move {
            let mut rest = String::new();
            ours.read_to_string(&mut rest).await.unwrap();
            rest
        });
        output.write(&Bytes::from_static(b"{\"n\":\n1}")).await;
        output.drain().await;
        drop(output);
        let text = format!("{}{}", String::from_utf8_lossy(&first), rest.await.unwrap());
        let long = String::from_utf8_lossy(&long);
        assert_eq!(text, format!("{long}\n{{\"n\": 1}}\n"));
    }

    #[tokio::test]
    async fn what_is_not_read_has_a_bound_and_a_client_that_is_gone_holds_nothing_up() {
        let (theirs, ours) = duplex(8);
        let closed = CancellationToken::new();
        let output = Output::new(Box::new(theirs), closed.clone());
        let half = Bytes::from(vec![b' '; MAX_UNREAD_KIB * 512]);
        assert!(output.write(&half).now_or_never().is_some());
        assert!(output.write(&half.slice(2048..)).now_or_never().is_some());
        assert!(output.write(&half).now_or_never().is_none(), "there is no room");
        drop(ours);
        closed.cancelled().await;
        output.write(&half).await;
        output.drain().await;
    }
}
