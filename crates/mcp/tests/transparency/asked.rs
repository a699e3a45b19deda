//! What servers ask clients in the middle of a call, and what clients answer: a request within the
//! legacy era, `input_required` in the modern one, and each as the other across them. The
//! question's parameters and the client's result or error arrive as they were sent; across the eras
//! a question about a page loses or gains its `elicitationId`, and `task` is left out.

use portunus_mcp::era::Era;
use proptest::prelude::*;

use super::{
    expected::own_meta,
    made_up::{Stuff, inside, stuff},
    made_up_cases,
    peer::Script,
    round_trip::ID,
    text::{Object, Value, open_request},
    world::{Messages, World, answers_in_events, next, request},
};

const ASKED: &str = "elicitation/create";

fn raw(text: &str) -> Value {
    Value::Raw(text.to_owned())
}

/// Parameters of a call of the tool `t`.
fn call(era: Era) -> Object {
    let meta = if era == Era::Modern { own_meta().to_vec() } else { Vec::new() };
    let nothing = Stuff {
        members: Vec::new(),
        meta: Vec::new(),
        has_meta: false,
        gaps: Default::default(),
        turn: 0,
        escapes_keys: false,
    };
    nothing.object(&[("name", raw(r#""t""#))], &meta)
}

fn of_era(world: &World, era: Era) -> impl Iterator<Item = usize> + use<> {
    let places: Vec<_> = world
        .servers
        .iter()
        .enumerate()
        .filter(|(_, (_, peer, _))| peer.era == era)
        .map(|(at, _)| at)
        .collect();
    places.into_iter()
}

/// The client's answer to a question, made of the same stuff either way.
fn answer(stuff: &Stuff, is_error: bool) -> String {
    if is_error {
        let own = [
            ("code", raw("-3.2050e4")),
            ("message", raw(r#""\u006eo\/""#)),
            ("data", raw("[1E400 ]")),
        ];
        format!(r#""error":{}"#, stuff.object(&own, &[]).text())
    } else {
        format!(r#""result":{}"#, stuff.object(&[("action", raw(r#""\u0061ccept""#))], &[]).text())
    }
}

#[test]
fn within_the_legacy_era() {
    let cases = (stuff(), stuff(), any::<bool>(), inside());
    made_up_cases(32, &cases, &async |world, (question, answering, is_error, id)| {
        for at in of_era(world, Era::Legacy) {
            let client = world.client(Era::Legacy, Some(world.servers[at].0)).await;
            let (_, peer, heard) = &mut world.servers[at];
            while heard.try_recv().is_ok() {}
            answers_in_events(peer, true);
            let question = question.object(&[("message", raw(r#""\u0077hy?""#))], &[]).text();
            let own_id = format!("\"{id}\"");
            peer.play(Script {
                method: "tools/call".to_owned(),
                first: vec![peer.sendable(&request(&own_id, ASKED, &question))],
                waits: true,
                answer: r#""result":{}"#.to_owned(),
            });
            let mut messages = Messages::of(
                client
                    .post("tools/call", "t", &request(ID, "tools/call", &call(Era::Legacy).text()))
                    .await,
            );
            next(heard, "the call").await;
            let asked = messages.next().await.unwrap();
            let (client_id, ..) =
                open_request(&asked).unwrap_or_else(|| panic!("no request of ours: {asked}"));
            assert_eq!(
                asked,
                super::expected::in_events(&request(client_id, ASKED, &peer.sendable(&question)))
            );

            let answer = answer(&answering, is_error);
            let posted = client
                .post("", "", &format!(r#"{{ {answer} , "x":1,"id":{client_id},"jsonrpc":"2.0"}}"#))
                .await;
            assert_eq!(posted.status, 202);
            let expected = format!(r#"{{"jsonrpc":"2.0","id":{own_id},{answer}}}"#);
            assert_eq!(
                next(heard, "the answer").await,
                if peer.is_child { peer.sendable(&expected) } else { expected }
            );
            assert_eq!(
                messages.next().await.as_deref(),
                Some(&*format!(r#"{{"jsonrpc":"2.0","id":{ID},"result":{{}}}}"#))
            );
        }
    });
}

/// A legacy server asks a modern client.
#[test]
fn a_request_becomes_input_required() {
    let cases = (stuff(), stuff(), any::<bool>());
    made_up_cases(16, &cases, &async |world, (question, answering, has_more)| {
        for at in of_era(world, Era::Legacy) {
            let client = world.client(Era::Modern, Some(world.servers[at].0)).await;
            let (_, peer, heard) = &mut world.servers[at];
            while heard.try_recv().is_ok() {}
            answers_in_events(peer, true);
            let mut own = vec![("message", raw(r#""\u0077hy?""#))];
            if has_more {
                own.extend([("elicitationId", raw(r#""e""#)), ("task", raw(r#"{"ttl":1.0}"#))]);
            }
            let mut question = question.object(&own, &[]);
            peer.play(Script {
                method: "tools/call".to_owned(),
                first: vec![peer.sendable(&request("7", ASKED, &question.text()))],
                waits: true,
                answer: r#""result":{}"#.to_owned(),
            });
            let params = call(Era::Modern);
            let posted =
                client.post("tools/call", "t", &request(ID, "tools/call", &params.text())).await;
            let answered = Messages::of(posted).next().await.unwrap();
            next(heard, "the call").await;
            question.take_out(&["elicitationId", "task"]);
            let start = format!(
                r#"{{"jsonrpc":"2.0","id":{ID},"result":{{"resultType":"input_required","inputRequests":{{"elicitation-create-1":{{"method":"{ASKED}","params":{}}}}},"requestState":"#,
                peer.sendable(&question.text())
            );
            let state = answered.strip_prefix(&*start).and_then(|rest| rest.strip_suffix("}}"));
            let state = state.unwrap_or_else(|| panic!("expected {start}…, got {answered}"));

            let result = answering.object(&[("action", raw(r#""\u0061ccept""#))], &[]).text();
            let mut retry = params;
            retry.add("inputResponses", &format!(r#"{{ "elicitation-create-1" :{result} }}"#));
            retry.add("requestState", state);
            let posted = client
                .post("tools/call", "t", &request(r#""again""#, "tools/call", &retry.text()))
                .await;
            let expected = format!(r#"{{"jsonrpc":"2.0","id":7,"result":{result}}}"#);
            assert_eq!(
                next(heard, "the answer").await,
                if peer.is_child { peer.sendable(&expected) } else { expected }
            );
            let last = Messages::of(posted).next().await.unwrap();
            assert!(
                last.starts_with(
                    r#"{"jsonrpc":"2.0","id":"again","result":{"resultType":"complete""#
                ),
                "{last}"
            );
        }
    });
}

/// A modern server asks a legacy client.
#[test]
fn input_required_becomes_a_request() {
    let cases = (stuff(), stuff(), inside());
    made_up_cases(16, &cases, &async |world, (question, answering, state)| {
        for at in of_era(world, Era::Modern) {
            let client = world.client(Era::Legacy, Some(world.servers[at].0)).await;
            let (_, peer, heard) = &mut world.servers[at];
            while heard.try_recv().is_ok() {}
            answers_in_events(peer, false);
            let question = question.object(&[("message", raw(r#""\u0077hy?""#))], &[]).text();
            let state = format!("\"{state}\"");
            let wanted = format!(
                r#""result":{{"resultType":"input_required", "requestState" : {state}, "inputRequests":{{"k":{{"method":"{ASKED}" ,"params":{question}}} }}}}"#
            );
            let answer = peer.sendable(&wanted);
            peer.play(Script { method: "tools/call".to_owned(), answer, ..Script::default() });
            let params = call(Era::Legacy);
            let mut messages = Messages::of(
                client.post("tools/call", "t", &request(ID, "tools/call", &params.text())).await,
            );
            next(heard, "the call").await;
            let asked = messages.next().await.unwrap();
            let (client_id, ..) =
                open_request(&asked).unwrap_or_else(|| panic!("no request of ours: {asked}"));
            assert_eq!(
                asked,
                super::expected::in_events(&request(client_id, ASKED, &peer.sendable(&question)))
            );

            peer.play(Script {
                method: "tools/call".to_owned(),
                answer: r#""result":{}"#.to_owned(),
                ..Script::default()
            });
            let result = answering.object(&[("action", raw(r#""\u0061ccept""#))], &[]).text();
            client
                .post("", "", &format!(r#"{{"jsonrpc":"2.0","id":{client_id},"result":{result}}}"#))
                .await;
            let retry = next(heard, "the call again").await;
            let expected =
                format!(r#","inputResponses":{{"k":{result}}},"requestState":{state}}}}}"#);
            let expected = if peer.is_child { peer.sendable(&expected) } else { expected };
            assert!(retry.ends_with(&expected), "expected …{expected}, got {retry}");
            assert_eq!(
                messages.next().await.as_deref(),
                Some(&*format!(r#"{{"jsonrpc":"2.0","id":{ID},"result":{{}}}}"#))
            );
        }
    });
}
