//! Invalidations: a revision in a slot of its own, moved on and published by one script. What an
//! invalidation tells stands in other slots and is written before it, so a reader that sees the new
//! revision finds what is new; a gateway that dies in between has acknowledged nothing.
//!
//! Each listener has a connection of its own, made by [`super::dial`], to any node of a Cluster:
//! what is published at one comes to all.

use std::{pin::Pin, sync::Arc};

use async_trait::async_trait;
use futures::{Stream, StreamExt as _};
use portunus_core::{
    invalidation::{Invalidation, Posted, Revision},
    store::{InvalidationStore, InvalidationSubscription, StoreError},
};
use redis::Msg;
use tokio::time::timeout;

use super::{
    address::RedisAddress,
    database::{Database, answer},
    dial,
    dial::CONNECT_PATIENCE,
    failure::{told, unavailable},
    script::{self, Call},
};

/// Longer than any message of ours.
const LONGEST: usize = 8192;

pub(super) struct RedisInvalidationStore {
    pub(super) database: Arc<Database>,
    pub(super) address: RedisAddress,
}

impl Database {
    pub(super) async fn post(&self, invalidation: &Invalidation) -> Result<(), StoreError> {
        let call = Call::new(&script::POST)
            .key(self.keys.invalidations_revision())
            .arg(self.keys.invalidations())
            .arg(invalidation.to_text());
        // Once more at once, if only the connection broke: what it tells has happened already.
        // Counting twice tells no more than once.
        match self.run::<u8>(&call).await {
            Err(StoreError::Unavailable(_)) => self.run::<u8>(&call).await,
            outcome => outcome,
        }
        .map(drop)
    }
}

#[async_trait]
impl InvalidationStore for RedisInvalidationStore {
    async fn post(&self, invalidation: &Invalidation) -> Result<(), StoreError> {
        let invalidation = invalidation.clone();
        self.database
            .see_through(|database| async move { database.post(&invalidation).await })
            .await
    }

    async fn revision(&self) -> Result<Revision, StoreError> {
        // On the way of reads: replicas that are late must not hold it up. As text, which no
        // restart of the server forgets.
        let call = Call::new(&script::MARK).key(self.database.keys.invalidations_revision());
        let [revision] = self.database.connection.read(call.slot(), [call.by_text()]).await?;
        answer::<String>(revision).map(Revision::from_text)
    }

    async fn listen(&self) -> Result<Box<dyn InvalidationSubscription>, StoreError> {
        let subscribing = async {
            let mut subscriber = dial::subscriber(&self.address).await?;
            subscriber.subscribe(self.database.keys.invalidations()).await?;
            Ok(subscriber.into_on_message())
        };
        match timeout(CONNECT_PATIENCE, subscribing).await {
            Ok(Ok(messages)) => Ok(Box::new(RedisSubscription(Box::pin(messages)))),
            Ok(Err(error)) => Err(told(&error)),
            Err(_) => Err(unavailable("subscribing takes too long")),
        }
    }
}

struct RedisSubscription(Pin<Box<dyn Stream<Item = Msg> + Send>>);

#[async_trait]
impl InvalidationSubscription for RedisSubscription {
    async fn next(&mut self) -> Option<Posted> {
        let message = self.0.next().await?;
        // What cannot be read was not heard. The revisions tell.
        read(message.get_payload_bytes())
    }
}

fn read(message: &[u8]) -> Option<Posted> {
    let text = std::str::from_utf8(message).ok().filter(|text| text.len() <= LONGEST)?;
    let mut lines = text.splitn(3, '\n');
    let (before, after, invalidation) = (lines.next()?, lines.next()?, lines.next()?);
    Some(Posted {
        before: Revision::from_text(before),
        after: Revision::from_text(after),
        invalidation: Invalidation::parse(invalidation),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_that_are_read_and_that_are_not() {
        let posted = read(b"1:5:a\n2:6:a\n\"everything\"").unwrap();
        assert_eq!((posted.before.as_str(), posted.after.as_str()), ("1:5:a", "2:6:a"));
        assert_eq!(posted.invalidation, Invalidation::Everything);
        assert_eq!(
            read(b"1\n2\nwhat nobody knows").unwrap().invalidation,
            Invalidation::Everything
        );
        for message in [&b""[..], b"1\n2", b"\xff\n2\n\"everything\"", &[b'\n'; LONGEST + 1]] {
            assert_eq!(read(message), None, "{message:?}");
        }
    }
}
