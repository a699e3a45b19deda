//! What is kept of a stream, who reads it, and the bounds on both.

use futures::{FutureExt as _, StreamExt as _};
use tokio::sync::mpsc;

use super::*;

fn streams() -> Resumables {
    Resumables::new(Arc::default())
}

fn operation() -> Arc<Operation> {
    Operation::nothing()
}

fn feed() -> (mpsc::UnboundedSender<Bytes>, Feed) {
    let (sender, mut receiver) = mpsc::unbounded_channel();
    (sender, futures::stream::poll_fn(move |cx| receiver.poll_recv(cx)).boxed())
}

/// What there is after this event now, without waiting; whether that was the end.
fn read(stream: &Resumable, reader: &Reader, mut after: u64) -> (Vec<(u64, Bytes)>, bool) {
    let mut got = Vec::new();
    // bounded: by what the stream holds; nothing is waited for.
    loop {
        match std::future::poll_fn(|cx| stream.poll_after(reader, after, &AllowAll, cx))
            .now_or_never()
        {
            Some(Step::Message(id, message)) => {
                after = id.number;
                got.push((id.number, message));
            }
            Some(Step::End) => return (got, true),
            None => return (got, false),
        }
    }
}

fn text(number: u64, text: &'static str) -> (u64, Bytes) {
    (number, Bytes::from_static(text.as_bytes()))
}

#[test]
fn event_ids() {
    for good in ["c1-0", "g7-12", "c18446744073709551615-1"] {
        let event = NamedEvent::parse(good).unwrap();
        assert_eq!((event.id.to_string().as_str(), event.request), (good, None));
    }
    for request in ["1", "-7.50", r#""seven""#, r#""\u00e9 -""#] {
        let request = RequestId::from_payload(wire::Payload::from_json(request).unwrap()).unwrap();
        let (stream, _) = streams().open_call(request.clone(), operation(), feed().1);
        let event = NamedEvent::parse(&stream.name(stream.id(3))).unwrap();
        assert_eq!((event.id, event.request), (stream.id(3), Some(request)));
    }
    let long = RequestId::from_payload(
        wire::Payload::from_json(&format!("{:?}", "x".repeat(200))).unwrap(),
    )
    .unwrap();
    let (stream, _) = streams().open_call(long, operation(), feed().1);
    assert_eq!(stream.name(stream.id(3)), "c1-3", "no header of any length");
    for bad in [
        "",
        "c",
        "c1",
        "c1-",
        "c-1",
        "x1-1",
        "c1-1-1",
        "c+1-1",
        "c1- 1",
        "c99999999999999999999-1",
        "é1-1",
        "g1-1-MQ",
        "c1-1-",
        "c1-1-e30",
        "c1-1-MQ==",
        "c1-1-MQ-MQ",
    ] {
        assert_eq!(NamedEvent::parse(bad), None, "{bad:?}");
    }
}

#[tokio::test]
async fn messages_after_an_event_are_given_again() {
    let all = streams();
    let (sender, feed) = feed();
    let (stream, reader) = all.open_call(RequestId::number(1), operation(), feed);
    for message in ["a", "b", "c"] {
        sender.send(message.into()).unwrap();
    }
    assert_eq!(read(&stream, &reader, 0), (vec![text(1, "a"), text(2, "b"), text(3, "c")], false));
    let (again, new) = all.take_up(&stream.id(1)).unwrap();
    assert!(reader.taken_over.is_cancelled() && !new.taken_over.is_cancelled());
    assert_eq!(read(&again, &new, 1), (vec![text(2, "b"), text(3, "c")], false));
    // The first reader gets nothing more: a message goes to one connection.
    sender.send("d".into()).unwrap();
    assert_eq!(read(&stream, &reader, 3), (vec![], true));
    drop(sender);
    assert_eq!(read(&again, &new, 3), (vec![text(4, "d")], true));
    assert!(all.take_up(&stream.id(4)).is_none(), "nothing comes after the last one");
    assert!(all.take_up(&stream.id(3)).is_some());
    let other = EventId { origin: Origin::Listening, ..stream.id(3) };
    assert!(all.take_up(&other).is_none(), "a stream of that number, but another kind");
}

#[tokio::test]
async fn what_comes_while_nobody_reads_is_kept() {
    let all = streams();
    let (sender, feed) = feed();
    let (stream, reader) = all.open_call(RequestId::number(1), operation(), feed);
    sender.send("a".into()).unwrap();
    assert_eq!(read(&stream, &reader, 0).0.len(), 1);
    let drain = stream.leave(&reader).expect("somebody reads on");
    let draining = tokio::spawn(Arc::clone(&stream).drain(drain));
    sender.send("b".into()).unwrap();
    drop(sender);
    draining.await.unwrap();
    let (again, new) = all.take_up(&stream.id(1)).unwrap();
    assert_eq!(read(&again, &new, 1), (vec![text(2, "b")], true));
    assert!(stream.leave(&new).is_none(), "there is nothing left to read");
}

#[tokio::test]
async fn a_new_reader_takes_over_from_the_one_that_kept() {
    let all = streams();
    let (sender, feed) = feed();
    let (stream, reader) = all.open_call(RequestId::number(1), operation(), feed);
    let drain = stream.leave(&reader).unwrap();
    let draining = tokio::spawn(Arc::clone(&stream).drain(drain));
    tokio::task::yield_now().await;
    let (again, new) = all.take_up(&stream.id(0)).unwrap();
    draining.await.unwrap();
    sender.send("a".into()).unwrap();
    assert_eq!(read(&again, &new, 0), (vec![text(1, "a")], false));
}

#[test]
fn memory_is_bounded() {
    let all = streams();
    let (stream, reader) = all.open_listening();
    for _ in 0..MAX_EVENTS + 5 {
        stream.push(&Bytes::from_static(b"x"), None);
    }
    let (got, _) = read(&stream, &reader, 0);
    assert_eq!((got.len(), got[0].0), (MAX_EVENTS, 6), "the newest stay");
    let large = Bytes::from(vec![b'x'; MAX_STREAM_BYTES / 2]);
    for _ in 0..4 {
        stream.push(&large, None);
    }
    assert_eq!(all.budget.load(Ordering::Relaxed), MAX_STREAM_BYTES);
    let others: Vec<_> = (0..2 * MAX_USER_BYTES / MAX_STREAM_BYTES)
        .map(|_| {
            let (other, _) = all.open_listening();
            other.push(&large, None);
            other.push(&large, None);
            other
        })
        .collect();
    assert!(all.budget.load(Ordering::Relaxed) <= MAX_USER_BYTES);
    drop((stream, others));
    all.clear();
    assert_eq!(all.budget.load(Ordering::Relaxed), 0, "all of it is given back");
}

#[test]
fn a_response_too_large_to_be_kept_is_answered_for() {
    let all = streams();
    let (sender, feed) = feed();
    let (stream, reader) = all.open_call(RequestId::number(5), operation(), feed);
    sender.send(Bytes::from(vec![b'x'; MAX_STREAM_BYTES + 1])).unwrap();
    drop(sender);
    let (got, over) = read(&stream, &reader, 0);
    assert_eq!((got[0].1.len(), over), (MAX_STREAM_BYTES + 1, true), "who reads it at once has it");
    let (again, new) = all.take_up(&stream.id(0)).unwrap();
    let (got, over) = read(&again, &new, 0);
    let error = std::str::from_utf8(&got[0].1).unwrap();
    assert!(
        error.contains(r#""id":5,"error""#) && error.contains("the request has run"),
        "{error}"
    );
    assert!(over && got.len() == 1);
}

#[tokio::test]
async fn streams_that_nobody_takes_up_are_forgotten() {
    let all = streams();
    let (kept, reader) = all.open_listening();
    let (left, left_reader) = all.open_listening();
    assert!(left.leave(&left_reader).is_none());
    all.sweep(Instant::now() + KEPT_FOR / 2);
    assert!(all.take_up(&left.id(0)).is_some(), "it was taken up in time");
    all.sweep(Instant::now() + KEPT_FOR * 2);
    let (_, again) = all.take_up(&left.id(0)).expect("a stream that is read stays");
    assert!(left.leave(&again).is_none());
    all.sweep(Instant::now() + KEPT_FOR * 2);
    assert!(all.take_up(&left.id(0)).is_none());
    drop((kept, reader));
    for _ in 0..3 * MAX_KEPT {
        let (stream, reader) = all.open_listening();
        stream.leave(&reader);
    }
    let idle = locked(&all.streams).iter().filter(|stream| stream.idle_since().is_some()).count();
    assert!(idle <= MAX_KEPT + 1, "{idle}");
}
