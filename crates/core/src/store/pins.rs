//! Port for pinned tools (threat 45). The rule that reads them is [`crate::pins::judge`].

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::error::StoreError;
use crate::{
    clock::Timestamp,
    ids::ServerName,
    pins::{Definition, Pin, SeenTool, ToolFingerprint},
};

/// One fingerprint of one tool, with what people decide by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PinRecord {
    pub server: ServerName,
    pub tool: String,
    pub fingerprint: ToolFingerprint,
    pub definition: Definition,
    pub seen_at: Timestamp,
    /// `None` while it is in quarantine. The first that was seen of a tool is approved from the
    /// beginning.
    pub approved_at: Option<Timestamp>,
}

#[async_trait]
pub trait PinStore: Send + Sync {
    /// What is remembered of the server's tools, in the order of their names; of each, older
    /// fingerprints first.
    async fn find_pins(&self, server: &ServerName) -> Result<Vec<Pin>, StoreError>;

    /// Pins each of these tools that has no approved fingerprint yet; the others stay as they are.
    /// Of many callers one pins a tool, and all others find its pin from then on.
    async fn pin_tools(
        &self,
        server: &ServerName,
        tools: &[SeenTool],
        now: Timestamp,
    ) -> Result<(), StoreError>;

    /// Puts these fingerprints into quarantine, unless they are known already. Of each tool the
    /// newest `keep` stay there: a server that changes with every look must not fill the store.
    /// Gives those that were not known.
    async fn quarantine(
        &self,
        server: &ServerName,
        tools: &[SeenTool],
        keep: u32,
        now: Timestamp,
    ) -> Result<Vec<ToolFingerprint>, StoreError>;

    /// Lets a fingerprint out of quarantine: the tool with it passes from now on, beside what
    /// passed before. `false` if there is no such fingerprint in quarantine.
    async fn approve(
        &self,
        server: &ServerName,
        fingerprint: &ToolFingerprint,
        now: Timestamp,
    ) -> Result<bool, StoreError>;

    /// Forgets one tool of a server, or all of them: they are pinned anew when they are seen again.
    /// Gives the number of tools forgotten.
    async fn forget(&self, server: &ServerName, tool: Option<&str>) -> Result<u64, StoreError>;

    /// Everything that is kept of one server, or of all, by server, tool and age.
    async fn list_pins(&self, server: Option<&ServerName>) -> Result<Vec<PinRecord>, StoreError>;
}
