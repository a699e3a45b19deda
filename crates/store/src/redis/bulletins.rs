//! Bulletins: a mark in a slot of its own, moved on and published by one script. What a bulletin tells stands in other slots and is written
//! before it, so whoever sees the new mark finds what is new; a gateway that dies in between has acknowledged nothing.
//!
//! Each listener has a connection of its own, made by [`super::dial`], to any node of a Cluster: what is published at one comes to all.

use std::{pin::Pin, sync::Arc};

use async_trait::async_trait;
use futures::{Stream, StreamExt as _};
use portunus_core::{
    bulletin::{Bulletin, Mark, Posted},
    store::{BulletinStore, Hearing, StoreError},
};
use redis::Msg;
use tokio::time::timeout;

use super::{
    address::RedisAddress,
    connection::CONNECT_PATIENCE,
    database::{Database, answer},
    dial,
    failure::{told, unavailable},
    script::{self, Call},
};

/// Longer than any message of ours.
const LONGEST: usize = 8192;

pub(super) struct RedisBulletinStore {
    pub(super) database: Arc<Database>,
    pub(super) address: RedisAddress,
}

impl Database {
    pub(super) async fn post(&self, bulletin: &Bulletin) -> Result<(), StoreError> {
        let call = Call::new(&script::POST).key(self.keys.bulletins_mark()).arg(self.keys.bulletins()).arg(bulletin.to_text());
        // Once more at once, if only the connection broke: what it tells has happened already. Counting twice tells no more than once.
        match self.run::<u8>(&call).await {
            Err(StoreError::Unavailable(_)) => self.run::<u8>(&call).await,
            outcome => outcome,
        }
        .map(drop)
    }
}

#[async_trait]
impl BulletinStore for RedisBulletinStore {
    async fn post(&self, bulletin: &Bulletin) -> Result<(), StoreError> {
        let bulletin = bulletin.clone();
        self.database.see_through(|database| async move { database.post(&bulletin).await }).await
    }

    async fn mark(&self) -> Result<Mark, StoreError> {
        // On the way of reads: replicas that are late must not hold it up. As text, which no restart of the server forgets.
        let call = Call::new(&script::MARK).key(self.database.keys.bulletins_mark());
        let [mark] = self.database.connection.read(call.slot(), [call.by_text()]).await?;
        answer::<String>(mark).map(Mark::from_text)
    }

    async fn listen(&self) -> Result<Box<dyn Hearing>, StoreError> {
        let subscribing = async {
            let mut subscriber = dial::subscriber(&self.address).await?;
            subscriber.subscribe(self.database.keys.bulletins()).await?;
            Ok(subscriber.into_on_message())
        };
        match timeout(CONNECT_PATIENCE, subscribing).await {
            Ok(Ok(messages)) => Ok(Box::new(RedisHearing(Box::pin(messages)))),
            Ok(Err(error)) => Err(told(&error)),
            Err(_) => Err(unavailable("subscribing takes too long")),
        }
    }
}

struct RedisHearing(Pin<Box<dyn Stream<Item = Msg> + Send>>);

#[async_trait]
impl Hearing for RedisHearing {
    async fn next(&mut self) -> Option<Posted> {
        let message = self.0.next().await?;
        // What cannot be read was not heard. The marks tell.
        read(message.get_payload_bytes())
    }
}

fn read(message: &[u8]) -> Option<Posted> {
    let text = std::str::from_utf8(message).ok().filter(|text| text.len() <= LONGEST)?;
    let mut lines = text.splitn(3, '\n');
    let (before, after, bulletin) = (lines.next()?, lines.next()?, lines.next()?);
    Some(Posted { before: Mark::from_text(before), after: Mark::from_text(after), bulletin: Bulletin::parse(bulletin) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_that_are_read_and_that_are_not() {
        let posted = read(b"1:5:a\n2:6:a\n\"everything\"").unwrap();
        assert_eq!((posted.before.as_str(), posted.after.as_str()), ("1:5:a", "2:6:a"));
        assert_eq!(posted.bulletin, Bulletin::Everything);
        assert_eq!(read(b"1\n2\nwhat nobody knows").unwrap().bulletin, Bulletin::Everything);
        for message in [&b""[..], b"1\n2", b"\xff\n2\n\"everything\"", &[b'\n'; LONGEST + 1]] {
            assert_eq!(read(message), None, "{message:?}");
        }
    }
}
