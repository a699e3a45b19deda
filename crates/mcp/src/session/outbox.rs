//! Messages from servers that wait for a stream of the session. Bounded: a client that opens no stream loses the oldest ones.
//! Each message leaves once, on whichever stream takes it (the transport forbids sending it on two).

use std::{collections::VecDeque, sync::Mutex};

use bytes::Bytes;
use tokio::sync::Notify;

use crate::sync::locked;

const MAX_MESSAGES: usize = 128;
const MAX_BYTES: usize = 256 * 1024;

#[derive(Default)]
pub(crate) struct Outbox {
    queue: Mutex<Queue>,
    arrived: Notify,
}

#[derive(Default)]
struct Queue {
    messages: VecDeque<Bytes>,
    bytes: usize,
}

impl Outbox {
    /// Adds a message. One that already waits is not added again: "the list changed" needs saying once.
    pub(crate) fn push(&self, message: &Bytes) {
        {
            let mut queue = locked(&self.queue);
            if message.len() > MAX_BYTES || queue.messages.contains(message) {
                return;
            }
            while queue.messages.len() >= MAX_MESSAGES || queue.bytes + message.len() > MAX_BYTES {
                let Some(dropped) = queue.messages.pop_front() else { break };
                queue.bytes -= dropped.len();
            }
            queue.bytes += message.len();
            queue.messages.push_back(message.clone());
        }
        self.arrived.notify_waiters();
    }

    pub(crate) fn take(&self) -> Option<Bytes> {
        let mut queue = locked(&self.queue);
        let message = queue.messages.pop_front()?;
        queue.bytes -= message.len();
        if queue.messages.is_empty() {
            queue.messages = VecDeque::new();
        }
        Some(message)
    }

    /// Until there is a message that `may_take` lets the caller have. It stays where it is.
    pub(crate) async fn waits(&self, may_take: impl Fn() -> bool) {
        loop {
            let arrived = self.arrived.notified();
            tokio::pin!(arrived);
            arrived.as_mut().enable();
            if may_take() && !locked(&self.queue).messages.is_empty() {
                return;
            }
            arrived.await;
        }
    }

    /// The next message that `may_take` lets the caller have. Safe to drop at any moment: nothing is lost.
    pub(crate) async fn next(&self, may_take: impl Fn() -> bool) -> Bytes {
        loop {
            let arrived = self.arrived.notified();
            tokio::pin!(arrived);
            arrived.as_mut().enable();
            if may_take()
                && let Some(message) = self.take()
            {
                return message;
            }
            arrived.await;
        }
    }
}
