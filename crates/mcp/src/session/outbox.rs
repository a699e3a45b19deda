//! Messages from servers that wait for a stream of the session. Bounded: a client that opens no
//! stream loses the oldest ones. Each message leaves once, on whichever stream takes it (the
//! transport forbids sending it on two).

use std::{collections::VecDeque, sync::Mutex};

use bytes::Bytes;
use portunus_core::{access::ToolHints, ids::ServerName};
use tokio::sync::Notify;

use crate::{
    allow::{Allow, CalledWith, Verdict},
    sync::locked,
    wire::protocol::method,
};

const MAX_MESSAGES: usize = 128;
const MAX_BYTES: usize = 256 * 1024;

#[derive(Default)]
pub(crate) struct Outbox {
    queue: Mutex<Queue>,
    arrived: Notify,
}

#[derive(Default)]
struct Queue {
    messages: VecDeque<(Bytes, Option<About>)>,
    bytes: usize,
}

/// What a message is about: a stream carries it if the token of that very stream allows it (threat
/// 71).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct About {
    server: ServerName,
    what: What,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum What {
    Server,
    Resource(String),
    /// A task is its tool's, if that is known.
    Task {
        tool: Option<String>,
        hints: ToolHints,
    },
}

impl About {
    pub(crate) fn server(server: &ServerName) -> Self {
        Self { server: server.clone(), what: What::Server }
    }

    pub(crate) fn resource(server: &ServerName, uri: &str) -> Self {
        Self { server: server.clone(), what: What::Resource(uri.to_owned()) }
    }

    pub(crate) fn task(server: &ServerName, tool: Option<String>, hints: ToolHints) -> Self {
        Self { server: server.clone(), what: What::Task { tool, hints } }
    }

    pub(crate) fn verdict(&self, allow: &dyn Allow) -> Verdict {
        let server = &self.server;
        match (allow.server(server), &self.what) {
            (Verdict::Allowed, What::Server) => Verdict::Allowed,
            (Verdict::Allowed, What::Resource(uri)) => allow.resource(server, uri),
            (Verdict::Allowed, What::Task { tool: Some(tool), hints }) => {
                allow.tool(server, tool, *hints, CalledWith::Any)
            }
            (Verdict::Allowed, What::Task { tool: None, .. }) => {
                allow.method(server, method::TASKS_GET)
            }
            (other, _) => other,
        }
    }

    pub(crate) fn is_allowed(&self, allow: &dyn Allow) -> bool {
        self.verdict(allow).is_allowed()
    }

    fn size(&self) -> usize {
        let what = match &self.what {
            What::Resource(text) | What::Task { tool: Some(text), .. } => text.len(),
            What::Server | What::Task { tool: None, .. } => 0,
        };
        self.server.as_str().len() + what
    }
}

fn size(message: &Bytes, about: Option<&About>) -> usize {
    message.len() + about.map_or(0, About::size)
}

impl Queue {
    fn find(&self, allow: &dyn Allow) -> Option<usize> {
        self.messages
            .iter()
            .position(|(_, about)| about.as_ref().is_none_or(|about| about.is_allowed(allow)))
    }
}

impl Outbox {
    /// Adds a message. One that already waits is not added again: "the list changed" needs saying
    /// once.
    pub(crate) fn push(&self, message: &Bytes, about: Option<&About>) {
        {
            let mut queue = locked(&self.queue);
            let bytes = size(message, about);
            let is_there =
                queue.messages.iter().any(|(held, of)| held == message && of.as_ref() == about);
            if bytes > MAX_BYTES || is_there {
                return;
            }
            while queue.messages.len() >= MAX_MESSAGES || queue.bytes + bytes > MAX_BYTES {
                let Some((dropped, of)) = queue.messages.pop_front() else { break };
                queue.bytes -= size(&dropped, of.as_ref());
            }
            queue.bytes += bytes;
            queue.messages.push_back((message.clone(), about.cloned()));
        }
        self.arrived.notify_waiters();
    }

    /// The oldest message that `allow` lets a stream carry.
    pub(crate) fn take(&self, allow: &dyn Allow) -> Option<(Bytes, Option<About>)> {
        let mut queue = locked(&self.queue);
        let at = queue.find(allow)?;
        let (message, about) = queue.messages.remove(at)?;
        queue.bytes -= size(&message, about.as_ref());
        if queue.messages.is_empty() {
            queue.messages = VecDeque::new();
        }
        Some((message, about))
    }

    /// Until there is a message that `may_take` and `allow` let the caller have. It stays where it
    /// is.
    pub(crate) async fn waits(&self, allow: &dyn Allow, may_take: impl Fn() -> bool) {
        loop {
            let arrived = self.arrived.notified();
            tokio::pin!(arrived);
            arrived.as_mut().enable();
            if may_take() && locked(&self.queue).find(allow).is_some() {
                return;
            }
            arrived.await;
        }
    }

    /// The next message that `may_take` and `allow` let the caller have, and what it is about. Safe
    /// to drop at any moment: nothing is lost.
    pub(crate) async fn next(
        &self,
        allow: &dyn Allow,
        may_take: impl Fn() -> bool,
    ) -> (Bytes, Option<About>) {
        loop {
            let arrived = self.arrived.notified();
            tokio::pin!(arrived);
            arrived.as_mut().enable();
            if may_take()
                && let Some(message) = self.take(allow)
            {
                return message;
            }
            arrived.await;
        }
    }
}
