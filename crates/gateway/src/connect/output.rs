//! What the client reads: one message a line, whole, and nothing else.

use bytes::Bytes;
use tokio::{
    io::{AsyncWrite, AsyncWriteExt as _},
    sync::Mutex,
};
use tokio_util::sync::CancellationToken;

pub(super) struct Output {
    to: Mutex<Box<dyn AsyncWrite + Send + Unpin>>,
    /// Cancelled when the client reads no more.
    closed: CancellationToken,
}

impl Output {
    pub(super) fn new(to: Box<dyn AsyncWrite + Send + Unpin>, closed: CancellationToken) -> Self {
        Self { to: Mutex::new(to), closed }
    }

    /// Writes one message, whose JSON is sound. Line ends in it, which are white space there,
    /// become spaces; every other byte stays. Waits while the client reads slowly.
    pub(super) async fn write(&self, message: &Bytes) {
        let mut line = message.to_vec();
        for byte in &mut line {
            if matches!(byte, b'\n' | b'\r') {
                *byte = b' ';
            }
        }
        line.push(b'\n');
        let mut to = self.to.lock().await;
        let written = async {
            to.write_all(&line).await?;
            to.flush().await
        };
        tokio::select! {
            written = written => if written.is_err() { self.closed.cancel() },
            () = self.closed.cancelled() => {}
        }
    }
}
