//! The requests of servers that a session's client has not answered yet: roots, sampling,
//! elicitation. The ids are the gateway's own, so that no two servers can meet in one client
//! (threat 37). Asking the client is next door, in `questions`.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use portunus_core::ids::ServerName;
use tokio::sync::oneshot;

use super::operation::Operation;
use crate::{
    sync::locked,
    wire::{Outcome, RequestId},
};

/// How long a person may think.
pub(crate) const PATIENCE: Duration = Duration::from_secs(600);
/// How many questions one client may have open.
const MAX_OPEN: usize = 64;

#[derive(Default)]
pub(crate) struct Asks(Mutex<Open>);

#[derive(Default)]
struct Open {
    last: u64,
    waiting: HashMap<RequestId, Question>,
}

/// One request of a server.
pub(super) struct Question {
    pub(super) answered: oneshot::Sender<Outcome>,
    pub(super) server: ServerName,
    pub(super) operation: Option<Arc<Operation>>,
}

impl Asks {
    pub(super) fn begin_at(&self, first: u64) {
        locked(&self.0).last = first;
    }

    /// Notes a question; gives the id that the client is asked with. `None`: too many are open
    /// already.
    pub(super) fn add(&self, question: Question) -> Option<RequestId> {
        let mut open = locked(&self.0);
        if open.waiting.len() >= MAX_OPEN {
            return None;
        }
        open.last += 1;
        let id = RequestId::number(open.last);
        open.waiting.insert(id.clone(), question);
        Some(id)
    }

    /// Which server asked, and in the middle of what.
    pub(super) fn find(&self, id: &RequestId) -> Option<(ServerName, Option<Arc<Operation>>)> {
        let open = locked(&self.0);
        let question = open.waiting.get(id)?;
        Some((question.server.clone(), question.operation.clone()))
    }

    pub(super) fn take(&self, id: &RequestId) -> Option<Question> {
        locked(&self.0).waiting.remove(id)
    }
}
