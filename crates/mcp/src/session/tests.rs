//! What waits for a session's streams, and what one user may have of everything.

use bytes::Bytes;

use super::{Full, level::Level, outbox::Outbox, table::Sessions};
use portunus_core::ids::UserId;

#[tokio::test]
async fn an_outbox_keeps_the_newest_and_says_nothing_twice() {
    let outbox = Outbox::default();
    outbox.push(&Bytes::from_static(b"changed"));
    outbox.push(&Bytes::from_static(b"changed"));
    assert_eq!(outbox.next(|| true).await, "changed");
    assert_eq!(outbox.take(), None);

    for n in 0..1000 {
        outbox.push(&Bytes::from(format!("{n:0>1024}")));
    }
    outbox.push(&Bytes::from(vec![b'x'; 1 << 20]));
    let mut kept = Vec::new();
    while let Some(message) = outbox.take() {
        kept.push(message);
    }
    assert!(kept.len() <= 256 && kept.iter().map(Bytes::len).sum::<usize>() <= 256 * 1024);
    assert_eq!(kept.last().unwrap(), &format!("{:0>1024}", 999), "too large a message is dropped, not the others");
}

#[tokio::test]
async fn who_waits_is_woken_and_who_may_not_take_leaves_it() {
    let outbox = std::sync::Arc::new(Outbox::default());
    let refused = tokio::spawn({
        let outbox = std::sync::Arc::clone(&outbox);
        async move { outbox.next(|| false).await }
    });
    let taken = tokio::spawn({
        let outbox = std::sync::Arc::clone(&outbox);
        async move { outbox.next(|| true).await }
    });
    tokio::task::yield_now().await;
    outbox.push(&Bytes::from_static(b"one"));
    assert_eq!(taken.await.unwrap(), "one");
    assert!(!refused.is_finished());
    refused.abort();
}

#[tokio::test]
async fn places_are_given_back() {
    let sessions = Sessions::new();
    let room = sessions.room(&UserId::from_text("alice"));
    let place = room.call_place(1).unwrap();
    assert_eq!(room.call_place(1).unwrap_err(), Full);
    assert!(room.stream_place(1).is_ok(), "streams are counted apart");
    drop(room);
    assert!(sessions.take_idle(std::time::Duration::ZERO).is_empty());
    let room = sessions.room(&UserId::from_text("alice"));
    assert_eq!(room.call_place(1).unwrap_err(), Full, "still counted after a sweep");
    drop(place);
    assert!(room.call_place(1).is_ok());
}

#[test]
fn levels_are_ordered() {
    assert!(Level::Debug < Level::Info && Level::Warning < Level::Error && Level::Alert < Level::Emergency);
    for level in Level::ALL {
        assert_eq!(Level::parse(level.as_str()), Some(level));
    }
    assert_eq!(Level::parse("warn"), None);
}
