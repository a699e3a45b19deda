//! Which stream of changes listens to which task. Asking a task's server to tell is
//! `calls::tasks::watch`'s.

use std::{any::Any, collections::HashMap, sync::Mutex};

use portunus_core::ids::ServerName;

use super::id::SessionId;
use crate::sync::locked;

/// By the session that each open stream is.
#[derive(Default)]
pub(crate) struct TaskWatches(Mutex<HashMap<SessionId, Vec<Watched>>>);

pub(crate) struct Watched {
    pub(crate) server: ServerName,
    pub(crate) task: String,
    /// Keeps the connection from being closed as idle.
    pub(crate) _hold: Box<dyn Any + Send + Sync>,
}

impl TaskWatches {
    pub(crate) fn has(&self, session: &SessionId, server: &ServerName, task: &str) -> bool {
        let sessions = locked(&self.0);
        let mut watched = sessions.get(session).into_iter().flatten();
        watched.any(|watched| watched.server == *server && watched.task == task)
    }

    /// The tasks of this server that the session listens to.
    pub(crate) fn of(&self, session: &SessionId, server: &ServerName) -> Vec<String> {
        let sessions = locked(&self.0);
        let watched = sessions.get(session).into_iter().flatten();
        watched
            .filter(|watched| watched.server == *server)
            .map(|watched| watched.task.clone())
            .collect()
    }

    /// All that the session listens to.
    pub(crate) fn of_session(&self, session: &SessionId) -> Vec<(ServerName, String)> {
        let sessions = locked(&self.0);
        let watched = sessions.get(session).into_iter().flatten();
        watched.map(|watched| (watched.server.clone(), watched.task.clone())).collect()
    }

    pub(crate) fn add(&self, session: &SessionId, watched: Watched) {
        locked(&self.0).entry(session.clone()).or_default().push(watched);
    }

    pub(crate) fn remove(&self, session: &SessionId, server: &ServerName, task: &str) {
        let mut sessions = locked(&self.0);
        if let Some(watched) = sessions.get_mut(session) {
            watched.retain(|watched| watched.server != *server || watched.task != task);
        }
    }

    pub(crate) fn take(&self, session: &SessionId) -> Vec<Watched> {
        locked(&self.0).remove(session).unwrap_or_default()
    }
}
