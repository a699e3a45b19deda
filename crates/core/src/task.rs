//! Whose a long-running task of a server is (MCP 2025-11-25, tasks; the extension `io.modelcontextprotocol/tasks`). How it is kept is said
//! in [`crate::store::TaskStore`].

use serde::{Deserialize, Serialize};

use crate::ids::{ClientId, ServerName, UserId};

/// A task belongs to one person and to the client through which it was made, and is not there for anybody else (threat 51).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskOwnership {
    pub user: UserId,
    pub client: ClientId,
    pub server: ServerName,
    /// The tool that made it, by the server's own name. Not known of every task.
    pub tool: Option<String>,
}
