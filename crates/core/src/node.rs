//! Words for several gateways on one store. How they find one another is said in
//! [`crate::store::NodeStore`].

use serde::{Deserialize, Serialize};

use crate::ids::{NodeId, UserId};

/// One running gateway. It gets a new name each time it starts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node {
    pub id: NodeId,
    /// Where the other nodes reach it, such as `http://10.0.0.5:7946`. Clients never do.
    pub url: String,
}

/// What is stored of a legacy client's MCP session: as much as another node needs to go on with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionRecord {
    pub user: UserId,
    /// Written and read by the MCP half alone. Sealed at rest.
    pub state: Vec<u8>,
}
