//! Tasks that modern clients want to hear of (`taskIds` of `subscriptions/listen`, extension `io.modelcontextprotocol/tasks`): which
//! stream listens to which, and asking their servers to tell. The stream itself is [`super::changes`]'s, finding a task's server
//! [`tasks`]'s.

use std::{
    any::Any,
    collections::HashMap,
    sync::{Arc, Mutex},
};

use portunus_core::ids::ServerName;

use super::{Caller, Inner, View, ask::Ask, capabilities, connect::key, reply::Problem};
use crate::{
    aggregate::tasks::{self, dialect},
    client_capabilities::ClientCapabilities,
    era::Era,
    session::{Session, SessionId},
    sync::locked,
    wire::{self, Payload, WireError},
};

/// By the session that each open stream is.
#[derive(Default)]
pub(crate) struct TaskWatches(Mutex<HashMap<SessionId, Vec<Watched>>>);

struct Watched {
    server: ServerName,
    task: String,
    /// Keeps the connection from being closed as idle.
    _hold: Box<dyn Any + Send + Sync>,
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
        watched.filter(|watched| watched.server == *server).map(|watched| watched.task.clone()).collect()
    }

    fn add(&self, session: &SessionId, watched: Watched) {
        locked(&self.0).entry(session.clone()).or_default().push(watched);
    }

    fn remove(&self, session: &SessionId, server: &ServerName, task: &str) {
        let mut sessions = locked(&self.0);
        if let Some(watched) = sessions.get_mut(session) {
            watched.retain(|watched| watched.server != *server || watched.task != task);
        }
    }

    fn take(&self, session: &SessionId) -> Vec<Watched> {
        locked(&self.0).remove(session).unwrap_or_default()
    }
}

/// The tasks that a client wants to hear of: `taskIds` of its filter.
pub(crate) fn wanted(notifications: &Payload) -> Result<Vec<String>, WireError> {
    let ids = wire::members(notifications)?.into_iter().find(|(key, value)| key == "taskIds" && value.as_str() != "null");
    let ids = ids.map(|(_, ids)| ids.read().map_err(|_| WireError::WrongType("taskIds", "a list of task ids")));
    Ok(ids.transpose()?.unwrap_or_default())
}

impl Inner {
    /// A client that wants to hear of tasks must have declared that it can follow them, where there can be any.
    pub(crate) fn may_watch_tasks(&self, caller: &Caller, client_capabilities: &ClientCapabilities) -> Result<(), Problem> {
        let servers = match &caller.view {
            View::All => self.allowed_servers(&*caller.allow),
            View::One(server) => vec![server.clone()],
        };
        let has_tasks = |declared: &Payload| capabilities::extension(declared, dialect::EXTENSION).is_some();
        let mut servers = servers.iter();
        if dialect::is_declared_by(client_capabilities) || !servers.any(|server| self.may_have(server, Era::Modern, has_tasks)) {
            Ok(())
        } else {
            Err(tasks::undeclared())
        }
    }

    /// The session hears of the task from now on. `ask` is on its behalf.
    pub(crate) async fn watch_task(self: &Arc<Self>, session: &Arc<Session>, ask: &Ask, task: &str) -> Result<(), Problem> {
        let server = tasks::server_of(self, ask, task).await?;
        let failed = |error| Problem::server(&server, error);
        let peer = self.connect(&server, &ask.asker).await.map_err(failed)?;
        // Before the server is asked: what it says at once is for this session already.
        self.task_watches.add(&session.id, Watched { server: server.clone(), task: task.to_owned(), _hold: peer.hold() });
        match peer.follow_task(task, true).await {
            Ok(true) => Ok(()),
            refused => {
                self.task_watches.remove(&session.id, &server, task);
                refused.map_err(failed)?;
                Err(Problem::invalid_params("the server does not tell of this task"))
            }
        }
    }

    /// The session's stream is over: what nobody else on its connections listens to need not be told any more.
    pub(crate) async fn unwatch_tasks(&self, session: &Arc<Session>) {
        for Watched { server, task, .. } in self.task_watches.take(&session.id) {
            let Some(spec) = self.spec(&server) else { continue };
            let others = self.concerned(&key(&spec, session));
            if others.iter().any(|other| self.task_watches.has(&other.id, &server, &task)) {
                continue;
            }
            if let Some(peer) = self.find_live(&spec, session)
                && let Err(error) = peer.follow_task(&task, false).await
            {
                tracing::debug!(%server, %error, "a server was not told that nobody listens to a task");
            }
        }
    }
}
