//! Port for pins (threat 45). The rule that reads them is [`crate::pins::judge`].

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::error::StoreError;
use crate::{
    clock::Timestamp,
    ids::ServerName,
    pins::{Definition, Fingerprint, Pin, PinSubject, SeenItem},
};

/// One fingerprint of one thing of a server, with what people decide by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PinRecord {
    pub server: ServerName,
    /// Archives have it under the name of what was pinned first.
    #[serde(rename = "tool")]
    pub subject: PinSubject,
    pub fingerprint: Fingerprint,
    pub definition: Definition,
    pub seen_at: Timestamp,
    /// `None` while it is in quarantine. The first that was seen of a thing is approved from the
    /// beginning.
    pub approved_at: Option<Timestamp>,
}

#[async_trait]
pub trait PinStore: Send + Sync {
    /// What is remembered of the server's, in the order of [`PinSubject::to_stored`]; of each,
    /// older fingerprints first.
    async fn find_pins(&self, server: &ServerName) -> Result<Vec<Pin>, StoreError>;

    /// Pins each of these that has no approved fingerprint yet; the others stay as they are. Of
    /// many callers one pins a thing, and all others find its pin from then on.
    async fn pin_items(
        &self,
        server: &ServerName,
        seen: &[SeenItem],
        now: Timestamp,
    ) -> Result<(), StoreError>;

    /// Puts these fingerprints into quarantine, unless they are known already. Of each thing the
    /// newest `keep` stay there: a server that changes with every look must not fill the store.
    /// Gives those that were not known.
    async fn quarantine(
        &self,
        server: &ServerName,
        seen: &[SeenItem],
        keep: u32,
        now: Timestamp,
    ) -> Result<Vec<Fingerprint>, StoreError>;

    /// Lets a fingerprint out of quarantine: what has it passes from now on, beside what
    /// passed before. `false` if there is no such fingerprint in quarantine.
    async fn approve(
        &self,
        server: &ServerName,
        fingerprint: &Fingerprint,
        now: Timestamp,
    ) -> Result<bool, StoreError>;

    /// Forgets one thing of a server, or all of them: they are pinned anew when they are seen
    /// again. Gives how many were forgotten.
    async fn forget(
        &self,
        server: &ServerName,
        subject: Option<&PinSubject>,
    ) -> Result<u64, StoreError>;

    /// Everything that is kept of one server, or of all, by server, subject and age.
    async fn list_pins(&self, server: Option<&ServerName>) -> Result<Vec<PinRecord>, StoreError>;
}
