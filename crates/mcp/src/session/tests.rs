//! What waits for a session's streams, and what one user may have of everything.

use bytes::Bytes;

use super::{
    level::Level,
    outbox::{About, Outbox},
    table::Sessions,
};
use crate::allow::{Allow, AllowAll, CalledWith, Verdict};
use portunus_core::{
    access::ToolHints,
    ids::{ServerName, UserId},
};

#[tokio::test]
async fn an_outbox_keeps_the_newest_and_says_nothing_twice() {
    let outbox = Outbox::default();
    outbox.push(&Bytes::from_static(b"changed"), None);
    outbox.push(&Bytes::from_static(b"changed"), None);
    assert_eq!(outbox.next(&AllowAll, || true).await.0, "changed");
    assert_eq!(outbox.take(&AllowAll), None);

    for n in 0..1000 {
        outbox.push(&Bytes::from(format!("{n:0>1024}")), None);
    }
    outbox.push(&Bytes::from(vec![b'x'; 1 << 20]), None);
    let mut kept = Vec::new();
    while let Some((message, _)) = outbox.take(&AllowAll) {
        kept.push(message);
    }
    assert!(kept.len() <= 256 && kept.iter().map(Bytes::len).sum::<usize>() <= 256 * 1024);
    assert_eq!(
        kept.last().unwrap(),
        &format!("{:0>1024}", 999),
        "too large a message is dropped, not the others"
    );
}

#[tokio::test]
async fn who_waits_is_woken_and_who_may_not_take_leaves_it() {
    let outbox = std::sync::Arc::new(Outbox::default());
    let refused = tokio::spawn({
        let outbox = std::sync::Arc::clone(&outbox);
        async move { outbox.next(&AllowAll, || false).await }
    });
    let taken = tokio::spawn({
        let outbox = std::sync::Arc::clone(&outbox);
        async move { outbox.next(&AllowAll, || true).await }
    });
    tokio::task::yield_now().await;
    outbox.push(&Bytes::from_static(b"one"), None);
    assert_eq!(taken.await.unwrap().0, "one");
    assert!(!refused.is_finished());
    refused.abort();
}

/// One server, and of its resources those that begin so.
struct One(&'static str, &'static str);

impl Allow for One {
    fn server(&self, server: &ServerName) -> Verdict {
        (server.as_str() == self.0).into()
    }
    fn tool(&self, server: &ServerName, _: &str, _: ToolHints, _: CalledWith<'_>) -> Verdict {
        self.server(server)
    }
    fn prompt(&self, server: &ServerName, _: &str, _: CalledWith<'_>) -> Verdict {
        self.server(server)
    }
    fn resource(&self, server: &ServerName, uri: &str) -> Verdict {
        (self.server(server).is_allowed() && uri.starts_with(self.1)).into()
    }
    fn method(&self, server: &ServerName, _: &str) -> Verdict {
        self.server(server)
    }
}

#[test]
fn t71_a_stream_takes_what_its_own_token_allows() {
    let outbox = Outbox::default();
    let server = |name| ServerName::parse(name).unwrap();
    let push = |text: &'static str, about: &About| {
        outbox.push(&Bytes::from_static(text.as_bytes()), Some(about));
    };
    push("changed", &About::server(&server("a")));
    push("changed", &About::server(&server("b")));
    push("changed", &About::server(&server("b")));
    push("updated x", &About::resource(&server("a"), "a:x"));
    push("updated y", &About::resource(&server("a"), "a:y"));
    let take = |allow: &dyn Allow| outbox.take(allow).map(|(message, _)| message);
    assert_eq!(take(&One("c", "")), None);
    assert_eq!(
        take(&One("b", "")).unwrap(),
        "changed",
        "of each server it is said once, to who may hear of that server"
    );
    assert_eq!(take(&One("b", "")), None);
    assert_eq!(take(&One("a", "a:y")).unwrap(), "changed");
    assert_eq!(
        take(&One("a", "a:y")).unwrap(),
        "updated y",
        "what stands before it holds it up for nobody"
    );
    assert_eq!(take(&One("a", "a:y")), None);
    assert_eq!(take(&AllowAll).unwrap(), "updated x");
}

#[tokio::test(start_paused = true)]
async fn places_are_given_back() {
    let sessions = Sessions::new();
    let usage = sessions.usage(&UserId::from_text("alice"));
    let permit = usage.call_permit(1).await.unwrap();
    assert!(usage.call_permit(1).await.is_err());
    assert!(usage.stream_permit(1).is_ok(), "streams are counted apart");
    drop(usage);
    assert!(sessions.take_idle(std::time::Duration::ZERO).is_empty());
    let usage = sessions.usage(&UserId::from_text("alice"));
    assert!(usage.call_permit(1).await.is_err(), "still counted after a sweep");
    drop(permit);
    assert!(usage.call_permit(1).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn fb76_a_burst_waits_a_moment_for_its_places() {
    let sessions = Sessions::new();
    let usage = sessions.usage(&UserId::from_text("alice"));
    // A hundred at once, eight places, and each call takes 50 ms.
    let calls = (0..100).map(|_| async {
        let permit = usage.call_permit(8).await;
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        permit.is_ok()
    });
    let served = futures::future::join_all(calls).await;
    assert_eq!(served.iter().filter(|served| **served).count(), 100);
    // Calls that take long let others wait for so long, and so many.
    let _long: Vec<_> = futures::future::join_all((0..8).map(|_| usage.call_permit(8))).await;
    let began = tokio::time::Instant::now();
    let refused = futures::future::join_all((0..300).map(|_| async {
        let is_refused = usage.call_permit(8).await.is_err();
        (is_refused, began.elapsed())
    }))
    .await;
    assert!(refused.iter().all(|(is_refused, _)| *is_refused));
    let at_once = refused.iter().filter(|(_, after)| after.is_zero()).count();
    assert_eq!(at_once, 300 - 256, "the queue has an end");
    assert!(refused.iter().all(|(_, after)| *after <= std::time::Duration::from_secs(3)));
    assert!(sessions.take_idle(std::time::Duration::ZERO).is_empty());
}

#[test]
fn levels_are_ordered() {
    assert!(
        Level::Debug < Level::Info
            && Level::Warning < Level::Error
            && Level::Alert < Level::Emergency
    );
    for level in Level::ALL {
        assert_eq!(Level::parse(level.as_str()), Some(level));
    }
    assert_eq!(Level::parse("warn"), None);
}
