//! Pins, of all servers in one slot. What an administrator decided about goes only by the
//! administrator's hand: nothing here expires. How a pin is written down is said in
//! `scripts/pins.lua`; its `tool` is what `PinSubject::to_stored` says.

use std::{collections::HashMap, sync::Arc};

use async_trait::async_trait;
use portunus_core::{
    Timestamp,
    ids::ServerName,
    pins::{Definition, Fingerprint, Pin, PinSubject, SeenItem},
    store::{PinRecord, PinStore, StoreError},
};

use super::{
    database::{Database, answer},
    failure::corrupt,
    script::{self, Call},
};

pub(super) struct RedisPinStore(pub(super) Arc<Database>);

#[async_trait]
impl PinStore for RedisPinStore {
    async fn find_pins(&self, server: &ServerName) -> Result<Vec<Pin>, StoreError> {
        let mut pins: Vec<Pin> = Vec::new();
        for kept in self.0.pins(server).await? {
            if pins.last().is_none_or(|pin| pin.subject != kept.subject) {
                pins.push(Pin {
                    subject: kept.subject,
                    approved: Vec::new(),
                    quarantined: Vec::new(),
                });
            }
            let Some(pin) = pins.last_mut() else { continue };
            if kept.approved_at.is_some() {
                pin.approved.push(kept.fingerprint);
            } else {
                pin.quarantined.push(kept.fingerprint);
            }
        }
        Ok(pins)
    }

    async fn pin_items(
        &self,
        server: &ServerName,
        seen: &[SeenItem],
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut call =
            self.0.on_pins(&script::PIN_TOOLS, server).arg(server.as_str()).arg(now.as_millis());
        for item in seen {
            call = call
                .arg(&*item.subject.to_stored())
                .arg(field(&item.fingerprint, &item.subject))
                .arg(item.definition.as_str());
        }
        self.0.run(&call).await
    }

    async fn quarantine(
        &self,
        server: &ServerName,
        seen: &[SeenItem],
        keep: u32,
        now: Timestamp,
    ) -> Result<Vec<Fingerprint>, StoreError> {
        let mut call = self
            .0
            .on_pins(&script::QUARANTINE, server)
            .arg(server.as_str())
            .arg(now.as_millis())
            .arg(keep);
        for item in seen {
            call = call.arg(field(&item.fingerprint, &item.subject)).arg(item.definition.as_str());
        }
        let fresh: Vec<usize> = self.0.run(&call).await?;
        Ok(fresh.into_iter().filter_map(|at| seen.get(at)).map(|item| item.fingerprint).collect())
    }

    async fn approve(
        &self,
        server: &ServerName,
        fingerprint: &Fingerprint,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let call = Call::new(&script::APPROVE).key(self.0.keys.pins(server));
        self.0.run(&call.arg(fingerprint.to_string()).arg(now.as_millis())).await
    }

    async fn forget(
        &self,
        server: &ServerName,
        subject: Option<&PinSubject>,
    ) -> Result<u64, StoreError> {
        let call = Call::new(&script::FORGET)
            .key(self.0.keys.pins(server))
            .key(self.0.keys.pin_definitions(server));
        let subject = subject.map(|subject| subject.to_stored().into_owned());
        self.0.run(&call.arg(subject)).await
    }

    async fn list_pins(&self, server: Option<&ServerName>) -> Result<Vec<PinRecord>, StoreError> {
        let servers = match server {
            Some(server) => vec![server.clone()],
            None => self.0.pinned_servers().await?,
        };
        let mut records = Vec::new();
        for server in servers {
            records.extend(self.0.pin_records(&server).await?);
        }
        Ok(records)
    }
}

pub(super) fn field(fingerprint: &Fingerprint, subject: &PinSubject) -> String {
    format!("{fingerprint} {}", subject.to_stored())
}

/// One fingerprint of one subject, without what it stands for.
struct KeptPin {
    subject: PinSubject,
    fingerprint: Fingerprint,
    number: u64,
    seen_at: Timestamp,
    approved_at: Option<Timestamp>,
}

impl KeptPin {
    fn parse(field: &str, value: &str) -> Option<Self> {
        let (fingerprint, tool) = field.split_at_checked(64)?;
        let mut parts = value.split(' ');
        let (number, seen_at, approved_at) = (parts.next()?, parts.next()?, parts.next()?);
        let time = |text: &str| text.parse().ok().map(Timestamp::from_millis);
        Some(Self {
            subject: PinSubject::from_stored(tool.strip_prefix(' ')?),
            fingerprint: Fingerprint::parse(fingerprint)?,
            number: number.parse().ok()?,
            seen_at: time(seen_at)?,
            approved_at: if approved_at == "-" { None } else { Some(time(approved_at)?) },
        })
    }
}

impl Database {
    pub(super) fn on_pins(&self, script: &'static script::Script, server: &ServerName) -> Call {
        let keys = &self.keys;
        Call::new(script)
            .key(keys.pins(server))
            .key(keys.pin_definitions(server))
            .key(keys.pinned_servers())
    }

    /// By subject and age.
    async fn pins(&self, server: &ServerName) -> Result<Vec<KeptPin>, StoreError> {
        let key = self.keys.pins(server);
        let [found] = self.connection.read(&key, [hgetall(&key)]).await?;
        read_pins(&answer(found)?)
    }

    pub(super) async fn pin_records(
        &self,
        server: &ServerName,
    ) -> Result<Vec<PinRecord>, StoreError> {
        let (pins, definitions) = (self.keys.pins(server), self.keys.pin_definitions(server));
        let [pins, definitions] =
            self.connection.read(&pins, [hgetall(&pins), hgetall(&definitions)]).await?;
        let mut definitions: HashMap<String, String> = answer(definitions)?;
        let record = |pin: KeptPin| {
            // Both were read one after the other: one that was forgotten in between has none.
            let definition = definitions.remove(&field(&pin.fingerprint, &pin.subject))?;
            let KeptPin { subject, fingerprint, seen_at, approved_at, .. } = pin;
            let definition = Definition::from_stored(definition);
            Some(PinRecord {
                server: server.clone(),
                subject,
                fingerprint,
                definition,
                seen_at,
                approved_at,
            })
        };
        Ok(read_pins(&answer(pins)?)?.into_iter().filter_map(record).collect())
    }

    pub(super) async fn pinned_servers(&self) -> Result<Vec<ServerName>, StoreError> {
        let key = self.keys.pinned_servers();
        let mut command = redis::cmd("SMEMBERS");
        command.arg(&key);
        let [found] = self.connection.read(&key, [command]).await?;
        let mut names: Vec<String> = answer(found)?;
        names.sort();
        names
            .iter()
            .map(|name| {
                ServerName::parse(name).map_err(|error| corrupt(&format!("pins.server: {error}")))
            })
            .collect()
    }
}

fn read_pins(kept: &HashMap<String, String>) -> Result<Vec<KeptPin>, StoreError> {
    let pins = kept
        .iter()
        .map(|(field, value)| KeptPin::parse(field, value).ok_or_else(|| corrupt("pins")));
    let mut pins = pins.collect::<Result<Vec<_>, _>>()?;
    pins.sort_by(|one, other| {
        let (first, second) = (one.subject.to_stored(), other.subject.to_stored());
        (first, one.number).cmp(&(second, other.number))
    });
    Ok(pins)
}

pub(super) fn hgetall(key: &str) -> redis::Cmd {
    let mut command = redis::cmd("HGETALL");
    command.arg(key);
    command
}
