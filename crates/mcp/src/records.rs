//! The ports through which whose a task is, and legacy sessions outlive this process, clients' with
//! the gateway and the gateway's with HTTP servers: what each of them needs to go on elsewhere. The
//! crate knows of no store; the builder of the hub brings one, or [`NoRecords`]. What is written of
//! a client's is made in `session::kept`, when, in `hub::keeping`; a server's is
//! `upstream::stored`'s.

use std::fmt;

use async_trait::async_trait;
use portunus_core::ids::{ClientId, ServerName, UserId};

/// The records cannot be reached just now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordsDown;

/// Sessions by their names. The names are to be kept as hashes only, the states sealed, both for
/// several hours after the last use.
#[async_trait]
pub trait SessionRecords: fmt::Debug + Send + Sync {
    /// Keeps the state of a session, in place of what was kept of it before.
    async fn keep(&self, session: &str, user: &UserId, state: &[u8]) -> Result<(), RecordsDown>;

    /// Whose it is, and its state.
    async fn find(&self, session: &str) -> Result<Option<(UserId, Vec<u8>)>, RecordsDown>;

    /// The session is still in use.
    async fn touch(&self, session: &str) -> Result<(), RecordsDown>;

    /// The session is over.
    async fn forget(&self, session: &str) -> Result<(), RecordsDown>;
}

/// Whose a task is: a person's, and the client's through which it was made (threat 51).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TaskOwner {
    pub user: UserId,
    pub client: ClientId,
}

/// A task, as its owner has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnedTask {
    pub server: ServerName,
    /// The server's id of it.
    pub id: String,
    /// The tool that made it, by the server's own name. Not known of every task.
    pub tool: Option<String>,
}

/// Tasks and their owners. Ids are to be kept as hashes only, for longer than tasks live.
#[async_trait]
pub trait TaskRecords: fmt::Debug + Send + Sync {
    /// The task is this owner's, from now on.
    async fn keep_task(&self, owner: &TaskOwner, task: &OwnedTask) -> Result<(), RecordsDown>;

    /// Those of the server's tasks that are this owner's.
    async fn find_tasks(
        &self,
        owner: &TaskOwner,
        server: &ServerName,
        ids: &[&str],
    ) -> Result<Vec<OwnedTask>, RecordsDown>;

    /// The owner has too many.
    async fn forget_task(
        &self,
        owner: &TaskOwner,
        server: &ServerName,
        id: &str,
    ) -> Result<(), RecordsDown>;
}

#[async_trait]
impl TaskRecords for NoRecords {
    async fn keep_task(&self, _: &TaskOwner, _: &OwnedTask) -> Result<(), RecordsDown> {
        Ok(())
    }

    async fn find_tasks(
        &self,
        _: &TaskOwner,
        _: &ServerName,
        _: &[&str],
    ) -> Result<Vec<OwnedTask>, RecordsDown> {
        Ok(Vec::new())
    }

    async fn forget_task(&self, _: &TaskOwner, _: &ServerName, _: &str) -> Result<(), RecordsDown> {
        Ok(())
    }
}

/// Sessions, and what is known of tasks, end with the process.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoRecords;

#[async_trait]
impl SessionRecords for NoRecords {
    async fn keep(&self, _: &str, _: &UserId, _: &[u8]) -> Result<(), RecordsDown> {
        Ok(())
    }

    async fn find(&self, _: &str) -> Result<Option<(UserId, Vec<u8>)>, RecordsDown> {
        Ok(None)
    }

    async fn touch(&self, _: &str) -> Result<(), RecordsDown> {
        Ok(())
    }

    async fn forget(&self, _: &str) -> Result<(), RecordsDown> {
        Ok(())
    }
}
