//! Messages of one node to another on a stream: each with its length before it, so that payloads
//! stay the bytes they were. An empty one says that the sender is alive.

use std::time::Duration;

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use futures::StreamExt as _;

use super::owners::Pieces;

/// How often a sender that has nothing to say says so, and how long silence is borne: a node that
/// hangs closes no connection.
pub(super) const ALIVE_EVERY: Duration = Duration::from_secs(5);
const SILENCE: Duration = Duration::from_secs(20);
/// How long a stream may take to end after the last message.
const LAST: Duration = Duration::from_secs(1);
const LENGTH: usize = 4;
/// What a message has beside its payload.
const AROUND: usize = 64 * 1024;

pub(super) fn frame(text: &[u8]) -> Bytes {
    let mut out = BytesMut::with_capacity(LENGTH + text.len());
    out.put_u32(u32::try_from(text.len()).unwrap_or(u32::MAX));
    out.put_slice(text);
    out.freeze()
}

pub(super) struct Frames {
    pieces: Pieces,
    buffer: BytesMut,
    max: usize,
    silence: Duration,
}

impl Frames {
    /// `max` bounds the payload of a message.
    pub(super) fn new(pieces: Pieces, max: usize) -> Self {
        Self { pieces, buffer: BytesMut::new(), max, silence: SILENCE }
    }

    /// Nothing more is wanted, but its connection can be used again once the stream has ended.
    pub(super) fn let_end(mut self) {
        tokio::spawn(tokio::time::timeout(LAST, async move {
            while let Some(Ok(_)) = self.pieces.next().await {}
        }));
    }

    /// The next message; `None` when none can come any more. What was read stays when the future is
    /// dropped.
    pub(super) async fn next(&mut self) -> Option<Bytes> {
        loop {
            if let Some(length) = self.buffer.first_chunk::<LENGTH>() {
                let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
                if length > self.max.saturating_add(AROUND) {
                    tracing::warn!(length, "a node sends a message that is too large");
                    return None;
                }
                if self.buffer.len() >= LENGTH + length {
                    self.buffer.advance(LENGTH);
                    if length == 0 {
                        continue;
                    }
                    return Some(self.buffer.split_to(length).freeze());
                }
            }
            let piece = tokio::time::timeout(self.silence, self.pieces.next()).await.ok()??.ok()?;
            self.buffer.extend_from_slice(&piece);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shared::BrokenOff;

    async fn read(bytes: &[u8], size: usize) -> Vec<Bytes> {
        let pieces: Vec<Result<Bytes, BrokenOff>> =
            bytes.chunks(size).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
        let mut frames = Frames::new(futures::stream::iter(pieces).boxed(), 1);
        let mut found = Vec::new();
        while let Some(text) = frames.next().await {
            found.push(text);
        }
        found
    }

    #[tokio::test]
    async fn every_split_gives_the_same_messages() {
        let sent = [&b"{\"a\":\n1}"[..], b"", b"{}"];
        let bytes: Vec<u8> = sent.iter().flat_map(|text| frame(text)).collect();
        for size in 1..bytes.len() {
            assert_eq!(read(&bytes, size).await, [sent[0], sent[2]], "in pieces of {size}");
        }
        assert_eq!(
            read(&bytes[..bytes.len() - 1], 5).await,
            [sent[0]],
            "what broke off is no message"
        );
    }

    #[tokio::test]
    async fn sizes_are_bounded() {
        assert_eq!(read(&frame(&vec![b' '; AROUND + 2]), 1000).await, Vec::<Bytes>::new());
    }

    #[tokio::test]
    async fn silence_is_an_end() {
        let mut frames = Frames::new(futures::stream::pending().boxed(), 1);
        frames.silence = Duration::from_millis(10);
        assert_eq!(frames.next().await, None);
    }
}
