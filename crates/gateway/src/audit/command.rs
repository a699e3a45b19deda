//! What commands beside the gateway record: each run takes up, or begins, a chain of commands, and
//! closes it again.

use std::sync::Arc;

use portunus_core::{
    Clock as _, Timestamp,
    audit::{Entry, Event, Origin, Person},
    clock::SystemClock,
    ids::NodeId,
    store::{StoreError, Stores},
};

use super::{
    chain::{ChainEnd, Writing},
    keys::audit_keys,
};
use crate::{config::Config, os::OsEntropy};

/// What an administrator did at the command line.
pub fn done(command: &str, about: impl Into<String>) -> Event {
    Event::Command { command: command.to_owned(), about: about.into() }
}

/// Records what a command has done. The command has succeeded by then; that it could not be
/// recorded is its failure all the same.
pub async fn record(config: &Config, stores: &Stores, events: Vec<Event>) -> anyhow::Result<()> {
    if !config.audit.enabled || events.is_empty() {
        return Ok(());
    }
    let entropy = Arc::new(OsEntropy);
    let writing = Writing {
        store: Arc::clone(&stores.audit),
        keys: audit_keys(&config.auth_secrets),
        node: NodeId::generate(&*entropy),
        entropy,
        writer: "command",
        is_alone: false,
    };
    let now = SystemClock.now();
    write(writing, events, now).await.map_err(|error| {
        anyhow::anyhow!("it is done, but could not be written to the audit trail: {error}")
    })
}

async fn write(writing: Writing, events: Vec<Event>, now: Timestamp) -> Result<(), StoreError> {
    let person = Person { account: Some(account()), ..Person::default() };
    let entry = |event| Entry { at: now, person: person.clone(), origin: Origin::default(), event };
    let (mut end, _) = ChainEnd::open(writing, now).await?;
    end.append(events.into_iter().map(entry).collect()).await?;
    end.close(now).await.map(drop)
}

/// Who runs this process, by number.
pub fn account() -> String {
    format!("uid {}", rustix::process::getuid().as_raw())
}
