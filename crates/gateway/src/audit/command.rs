//! What commands beside the gateway record: each run takes up, or begins, a chain of commands, and
//! closes it again.

use std::{
    io::{self, Write as _},
    sync::Arc,
};

use portunus_core::{
    Clock as _, Timestamp,
    audit::{ChainedRecord, Entry, Event, Origin, Person},
    clock::SystemClock,
    ids::NodeId,
    store::{StoreError, Stores},
};

use super::{
    chain::{ChainEnd, Writing, own},
    keys::audit_keys,
    targets::{Targets, hand_on},
};
use crate::{config::Config, os::OsEntropy};

/// Records of one command that are handed on.
const MOST: usize = 10_000;

/// What an administrator did at the command line.
pub fn done(command: &str, about: impl Into<String>) -> Event {
    Event::Command { command: command.to_owned(), about: about.into() }
}

/// Records what a command has done, and hands that on to where the gateway's records go. The
/// command has succeeded by then; that it could not be recorded is its failure all the same.
pub async fn record(config: &Config, stores: &Stores, events: Vec<Event>) -> anyhow::Result<()> {
    let events = events.into_iter().map(|event| (Person::default(), event)).collect();
    record_about(config, stores, events).await
}

/// The same of events that are about a person each.
pub async fn record_about(
    config: &Config,
    stores: &Stores,
    events: Vec<(Person, Event)>,
) -> anyhow::Result<()> {
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
        targets: Targets::default(),
    };
    let now = SystemClock.now();
    let records = write(writing, events, now).await.map_err(|error| {
        anyhow::anyhow!("it is done, but could not be written to the audit trail: {error}")
    })?;
    let host = host_of(config);
    for failed in hand_on(&records, &config.audit, &host).await {
        writeln!(
            io::stderr(),
            "it is done and in the audit trail, but its record was not sent on: {failed}"
        )?;
    }
    Ok(())
}

/// How the gateway is called, for those who get records of several.
pub fn host_of(config: &Config) -> String {
    let authority = config.public_url.authority();
    let port = authority.rfind(':').filter(|at| !authority[*at..].contains(']'));
    authority[..port.unwrap_or(authority.len())].to_owned()
}

/// What was written.
async fn write(
    writing: Writing,
    events: Vec<(Person, Event)>,
    now: Timestamp,
) -> Result<Vec<ChainedRecord>, StoreError> {
    let account = account();
    let entry = |(person, event)| {
        let person = Person { account: Some(account.clone()), ..person };
        Entry { at: now, person, origin: Origin::default(), event }
    };
    let store = Arc::clone(&writing.store);
    let mut entries: Vec<_> = events.into_iter().map(entry).collect();
    entries.push(own(now, Event::Stopped));
    let mut end = ChainEnd::open(writing, now).await?;
    end.settle(now).await?;
    end.push(entries, Some(now));
    end.settle(now).await?;
    let (chain, first) = end.opened_at();
    store.read_records(&chain, first, MOST).await
}

/// Who runs this process, by number.
pub fn account() -> String {
    format!("uid {}", rustix::process::getuid().as_raw())
}
