//! *Deactivate*: the one way to disable a person, a client, a server, a proxied path or a tool, and
//! to enable it again. Commands call it; so can whatever else an administrator, or a directory on
//! their behalf, says it through.
//!
//! What a caller may rely on, when [`disable`] has answered with `Ok`:
//!
//! - It is on disk. A restart, and a gateway that was down meanwhile, refuse from their first
//!   request.
//! - Of a person, every grant with its tokens, every code, login and stored session has ended, and
//!   whose their tasks were is forgotten; of a client, every grant and code, and every consent
//!   given to it. No other comes about, whatever was under way at that moment.
//! - Every gateway on the store is told. Within a second each of them refuses what is disabled, and
//!   ends streams, calls and connections to servers of a person or a client, and those of a
//!   server; clients that listen are told that lists changed.
//! - Calling it again is well: it replaces the reason, and ends what an attempt that broke off
//!   left.
//!
//! After an `Err` of the store a part may have been done: call again.
//!
//! [`enable`] lifts the refusal, and brings nothing back.
//!
//! The caller records the event that comes with the answer, by the audit log or
//! [`crate::audit::command`], with who did it.

use portunus_core::{
    Timestamp,
    audit::Event,
    disabled::{CannotDisable, Disableable, DisabledRecord, Disabling},
    store::{DisabledStore, StoreError},
};
use thiserror::Error;

/// Why something was not disabled.
#[derive(Debug, Error)]
pub enum NotDisabled {
    #[error(transparent)]
    Cannot(#[from] CannotDisable),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Disables what the record is about. The contract is at the head of this file.
pub async fn disable(
    store: &dyn DisabledStore,
    record: DisabledRecord,
    now: Timestamp,
) -> Result<(Disabling, Event), NotDisabled> {
    record.check()?;
    let disabling = store.disable(&record, now).await?;
    let Disabling { was_disabled, ended } = disabling;
    let event = Event::Disabled {
        kind: record.what.kind().to_owned(),
        what: record.what.id(),
        reason: record.reason,
        again: was_disabled,
        grants: ended.grants,
        logins: ended.logins,
        sessions: ended.sessions,
        tasks: ended.tasks,
    };
    Ok((disabling, event))
}

/// Lifts it. `None` if it was not disabled.
pub async fn enable(
    store: &dyn DisabledStore,
    what: &Disableable,
) -> Result<Option<Event>, StoreError> {
    let event = || Event::Enabled { kind: what.kind().to_owned(), what: what.id() };
    Ok(store.enable(what).await?.then(event))
}
