//! An answer that is a stream and breaks off, because the node that gave it died. The client has
//! its status already, and may wait for the rest for long; here its last event says that the call
//! is lost and may be sent again. An answer that has not begun is the business of
//! [`super::dispatch`].

use std::{fmt::Display, sync::Arc};

use bytes::Bytes;
use futures::{Stream, StreamExt as _, future::BoxFuture, stream};
use portunus_core::{ids::UserId, node::Node};
use tokio::time::Instant;

use super::{
    membership::{Member, Owner},
    retry::{PATIENCE, PAUSE},
};

struct Telling<S> {
    /// `None` once it has ended.
    body: Option<S>,
    /// What is said now is an event of its own.
    is_between_events: bool,
    is_gone: BoxFuture<'static, bool>,
    missing: BoxFuture<'static, ()>,
    last: Bytes,
}

/// The body, with `last` in place of an error if `is_gone` says so, or in place of silence when the
/// node is `missing`. In the middle of an event the error stays, or the stream ends: there is no
/// way to take back what the client has of it.
pub(super) fn told<S, E>(
    body: S,
    is_gone: BoxFuture<'static, bool>,
    missing: BoxFuture<'static, ()>,
    last: Bytes,
) -> impl Stream<Item = Result<Bytes, E>> + Send
where
    S: Stream<Item = Result<Bytes, E>> + Send + Unpin,
    E: Display + Send,
{
    let telling = Telling { body: Some(body), is_between_events: true, is_gone, missing, last };
    stream::unfold(telling, |mut telling| async move {
        let item = tokio::select! {
            item = telling.body.as_mut()?.next() => item?,
            () = &mut telling.missing => {
                telling.body = None;
                return telling.is_between_events.then(|| (Ok(std::mem::take(&mut telling.last)), telling));
            }
        };
        let item = match item {
            Ok(bytes) => {
                telling.is_between_events = bytes.ends_with(b"\n\n");
                Ok(bytes)
            }
            Err(error) => {
                telling.body = None;
                if telling.is_between_events && (&mut telling.is_gone).await {
                    tracing::debug!(%error, "an answer broke off: its client is told to ask again");
                    Ok(std::mem::take(&mut telling.last))
                } else {
                    Err(error)
                }
            }
        };
        Some((item, telling))
    })
}

/// Is the node no longer the user's owner? While it is alive, the call may go on there, and the
/// client take its stream up again.
pub(super) async fn is_gone(member: Arc<Member>, user: UserId, node: Node) -> bool {
    let until = Instant::now() + PATIENCE;
    while Instant::now() < until {
        member.ask_again(&user);
        match member.owner(&user).await {
            Ok(Owner::Other(owner)) if owner.id == node.id => tokio::time::sleep(PAUSE).await,
            Ok(_) => return true,
            Err(_) => return false,
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    const LAST: &str = "data: sorry\n\n";

    async fn what_arrives(
        chunks: &[Result<&'static str, &'static str>],
        is_gone: bool,
    ) -> (String, Option<&'static str>) {
        let body =
            stream::iter(chunks.iter().map(|chunk| chunk.map(Bytes::from)).collect::<Vec<_>>());
        let never = futures::future::pending().boxed();
        let items = told(body, async move { is_gone }.boxed(), never, Bytes::from(LAST))
            .collect::<Vec<_>>()
            .await;
        let text = items.iter().flatten().map(|bytes| String::from_utf8_lossy(bytes)).collect();
        (text, items.iter().find_map(|item| item.as_ref().err().copied()))
    }

    #[tokio::test]
    async fn the_client_of_a_dead_node_is_told() {
        let chunks = [Ok("data: 1\n\n"), Err("reset"), Ok("never")];
        assert_eq!(what_arrives(&chunks, true).await, (format!("data: 1\n\n{LAST}"), None));
        assert_eq!(what_arrives(&[Err("reset")], true).await, (LAST.to_owned(), None));
    }

    #[tokio::test]
    async fn the_client_of_a_node_that_hangs_is_told() {
        for (first, expected) in [
            ("data: 1\n\n", format!("data: 1\n\n{LAST}")),
            ("data: {\"js", "data: {\"js".to_owned()),
        ] {
            let (missed, missing) = tokio::sync::oneshot::channel::<()>();
            let body = stream::iter([Ok::<_, &str>(Bytes::from(first))]).chain(stream::pending());
            let missing = missing.map(drop).boxed();
            let mut told = Box::pin(told(
                body,
                futures::future::pending().boxed(),
                missing,
                Bytes::from(LAST),
            ));
            let mut text = told.next().await.unwrap().unwrap().to_vec();
            assert!(told.next().now_or_never().is_none(), "it waits");
            missed.send(()).unwrap();
            while let Some(item) = told.next().await {
                text.extend(item.unwrap());
            }
            assert_eq!(String::from_utf8(text).unwrap(), expected);
        }
    }

    #[tokio::test]
    async fn a_stream_that_can_be_taken_up_again_only_breaks() {
        assert_eq!(
            what_arrives(&[Ok("data: 1\n\n"), Err("reset")], false).await,
            ("data: 1\n\n".to_owned(), Some("reset"))
        );
    }

    #[tokio::test]
    async fn half_an_event_gets_no_other_half() {
        assert_eq!(
            what_arrives(&[Ok("data: {\"js"), Err("reset")], true).await,
            ("data: {\"js".to_owned(), Some("reset"))
        );
    }

    #[tokio::test]
    async fn a_stream_that_ends_is_left_alone() {
        assert_eq!(
            what_arrives(&[Ok("data: 1\n\n")], true).await,
            ("data: 1\n\n".to_owned(), None)
        );
    }
}
