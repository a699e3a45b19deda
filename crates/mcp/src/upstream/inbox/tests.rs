//! Whose a message is that names no call (threats 49, 50).

use portunus_core::ids::{ClientId, ServerName, UserId};

use super::{calls::MAX_ABANDONED, *};
use crate::{client_capabilities::ClientCapabilities, era::Era};

fn inbox(owner: Owner) -> Arc<Inbox> {
    let server = ServerName::parse("dice").unwrap();
    Inbox::new(
        ConnectionKey {
            server,
            owner,
            client_capabilities: ClientCapabilities::default(),
            lane: 0,
            era: Era::Modern,
        },
        false,
    )
    .0
}

fn client() -> Owner {
    Owner::Client(UserId::from_text("alice"), ClientId::from_text("editor"))
}

fn session() -> Owner {
    Owner::Session(UserId::from_text("alice"), ClientId::from_text("editor"), "s".to_owned())
}

/// What happens on a connection, in order; calls are numbered from 1.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// A call of this session.
    Of(&'static str),
    Modern,
    /// The gateway's own request.
    Own,
    Answered(u64),
    GivenUp(u64),
}

/// Who is asked, and who hears a log message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Who {
    Call(u64),
    Owner,
    Nobody,
}

/// Plays the steps; gives who is asked and who is told by a message on no call's stream, or on that
/// of `on`.
fn play(owner: Owner, steps: &[Step], on: Option<u64>) -> (Who, Who) {
    let inbox = inbox(owner);
    let mut messages = Vec::new();
    let mut awaited = Vec::new();
    for step in steps {
        let mut call = |origin, is_heard: bool| {
            let (call_events, hears) = mpsc::channel(4);
            let call = inbox.register(is_heard.then_some(call_events), origin, None).unwrap();
            messages.push((call.id, hears));
            awaited.push(call);
        };
        match *step {
            Step::Of(session) => call(CallOrigin::Session(session.into()), true),
            Step::Modern => call(CallOrigin::Request, true),
            Step::Own => call(CallOrigin::Gateway, false),
            Step::Answered(id) => {
                inbox.deliver(
                    &Bytes::from(format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{}}}}"#)),
                    None,
                );
            }
            Step::GivenUp(id) => drop(inbox.forget(id)),
        }
    }
    let told = match inbox.recipient(on, "notifications/message") {
        Recipient::Call(call_events) => {
            let found = messages.iter().find(|(_, hears)| {
                call_events.try_send(CallEvent::Progress(wire::object(&[]))).ok();
                !hears.is_empty()
            });
            Who::Call(found.unwrap().0)
        }
        Recipient::Connection => Who::Owner,
        Recipient::Log => Who::Nobody,
    };
    for (_, hears) in &mut messages {
        while hears.try_recv().is_ok() {}
    }
    let asked = match inbox.find_respondent(on) {
        Respondent::Caller(asking) => {
            asking.call_events.try_send(CallEvent::Progress(wire::object(&[]))).unwrap();
            Who::Call(messages.iter().find(|(_, hears)| !hears.is_empty()).unwrap().0)
        }
        Respondent::Handler => Who::Owner,
        Respondent::Missing(_) => Who::Nobody,
    };
    (asked, told)
}

#[test]
fn t50_nothing_on_a_shared_connection_is_attributed_by_a_guess() {
    use Step::{Answered, GivenUp, Modern, Of, Own};
    for steps in [
        &[][..],
        &[Of("a")],
        &[Modern],
        &[Of("a"), Of("b")],
        &[Of("a"), Answered(1), Of("b")],
        &[Of("a"), GivenUp(1), Of("b")],
        &[Own, Of("a")],
    ] {
        assert_eq!(play(Owner::AllUsers, steps, None), (Who::Nobody, Who::Nobody), "{steps:?}");
    }
    for (steps, on, who) in [
        (&[Of("a"), Of("b")][..], 2, Who::Call(2)),
        (&[Of("a"), Of("b"), Answered(2)], 2, Who::Nobody),
        (&[Of("a"), Of("b"), GivenUp(2)], 2, Who::Nobody),
        (&[Own], 1, Who::Nobody),
    ] {
        assert_eq!(
            play(Owner::AllUsers, steps, Some(on)),
            (who, who),
            "on the stream of {on}: {steps:?}"
        );
    }
}

#[test]
fn t49_what_names_no_call_is_attributed_if_it_can_be_about_one_alone() {
    use Step::{Answered, GivenUp, Modern, Of, Own};
    for (steps, who) in [
        (&[][..], Who::Owner),
        (&[Own], Who::Owner),
        (&[Modern], Who::Call(1)),
        (&[Own, Modern], Who::Call(2)),
        (&[Modern, Modern], Who::Nobody),
        (&[Modern, Answered(1), Modern], Who::Call(2)),
        (&[Modern, GivenUp(1)], Who::Nobody),
        (&[Modern, GivenUp(1), Answered(1), Modern], Who::Call(2)),
        (&[Own, GivenUp(1), Modern], Who::Call(2)),
        (&[Of("a")], Who::Call(1)),
        (&[Of("a"), Of("a")], Who::Call(2)),
        (&[Of("a"), GivenUp(1), Of("a")], Who::Call(2)),
        (&[Of("a"), Of("b")], Who::Nobody),
        (&[Of("a"), GivenUp(1), Of("b")], Who::Nobody),
        (&[Of("a"), GivenUp(1)], Who::Nobody),
        (&[Of("a"), Modern], Who::Nobody),
    ] {
        assert_eq!(play(client(), steps, None), (who, who), "{steps:?}");
    }
    // The server may not have noticed, and goes on with the first: that is the same application's,
    // unless a session gave it up.
    for (steps, who) in [
        (&[Modern, GivenUp(1), Modern][..], Who::Call(2)),
        (&[Of("a"), GivenUp(1), Modern], Who::Nobody),
        (&[Modern, GivenUp(1), Of("a")], Who::Call(2)),
    ] {
        assert_eq!(play(client(), steps, None), (who, who), "{steps:?}");
    }
}

#[test]
fn t49_a_connection_of_one_session_is_that_sessions() {
    use Step::{GivenUp, Of};
    for (steps, who) in [
        (&[][..], Who::Owner),
        (&[Of("s")], Who::Call(1)),
        (&[Of("s"), Of("s")], Who::Call(2)),
        (&[Of("s"), GivenUp(1)], Who::Owner),
        (&[Of("s"), Of("s"), GivenUp(2)], Who::Call(1)),
    ] {
        assert_eq!(play(session(), steps, None), (who, who), "{steps:?}");
    }
}

#[test]
fn who_lost_track_of_calls_attributes_nothing() {
    let mut steps = Vec::new();
    for id in 1..=u64::try_from(MAX_ABANDONED).unwrap() + 1 {
        steps.extend([Step::Modern, Step::GivenUp(id)]);
    }
    for id in 1..=u64::try_from(MAX_ABANDONED).unwrap() + 1 {
        steps.push(Step::Answered(id));
    }
    steps.push(Step::Modern);
    assert_eq!(play(client(), &steps, None), (Who::Nobody, Who::Nobody));
}

#[test]
fn t49_what_may_come_late_is_attributed_to_none_of_several_sessions() {
    let server = ServerName::parse("dice").unwrap();
    for (speaks_late, sessions, is_told) in [
        (true, &["a", "b"][..], false),
        (true, &["a", "a"], true),
        (false, &["a", "b"], true),
        (true, &["a"], true),
    ] {
        let key = ConnectionKey {
            server: server.clone(),
            owner: client(),
            client_capabilities: ClientCapabilities::default(),
            lane: 0,
            era: Era::Modern,
        };
        let (inbox, _asked) = Inbox::new(key, speaks_late);
        let (before, open) = sessions.split_at(sessions.len() - 1);
        for session in before {
            let call = inbox.register(None, CallOrigin::Session((*session).into()), None).unwrap();
            inbox.deliver(
                &Bytes::from(format!(r#"{{"jsonrpc":"2.0","id":{},"result":{{}}}}"#, call.id)),
                None,
            );
        }
        let (call_events, _heard) = mpsc::channel(4);
        let _open =
            inbox.register(Some(call_events), CallOrigin::Session(open[0].into()), None).unwrap();
        let hearer = inbox.recipient(None, "notifications/message");
        assert_eq!(matches!(hearer, Recipient::Call(_)), is_told, "{speaks_late} {sessions:?}");
    }
}

/// A connection that is no longer used ends while no call is under way: none is cut off by it, and
/// none begins on it.
#[test]
fn a_session_ends_with_no_call_in_flight_or_goes_on() {
    let inbox = inbox(client());
    let mut call = inbox.register(None, CallOrigin::Session("a".into()), None).unwrap();
    assert!(!inbox.expire_if_idle());
    assert!(inbox.reason().is_none());
    assert!(call.answer.try_recv().is_err(), "the call goes on");
    inbox.forget(call.id);
    assert!(inbox.expire_if_idle());
    let late = inbox.register(None, CallOrigin::Session("a".into()), None);
    assert!(
        matches!(late, Err(UpstreamError::SessionExpired)),
        "and may be made on a new connection"
    );
    assert!(inbox.expire_if_idle(), "it has ended");
}
