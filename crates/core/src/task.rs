//! The owner of a long-running task of a server (MCP 2025-11-25, tasks; the extension
//! `io.modelcontextprotocol/tasks`). How it is stored is in [`crate::store::TaskStore`].

use serde::{Deserialize, Serialize};

use crate::ids::{ClientId, ServerName, UserId};

/// The owner of a task: one person, and the client through which it was made. To all others the
/// task does not exist (threat 51).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskOwnership {
    pub user: UserId,
    pub client: ClientId,
    pub server: ServerName,
    /// The tool that made it, by the server's own name. Not known of every task.
    pub tool: Option<String>,
}
