//! Messages of programs made with the official SDKs, recorded without the gateway
//! (`recorded/README.md`) and sent through it: requests and their answers, events of calls, what
//! servers ask and what clients reply.

use std::{collections::BTreeMap, fs, path::Path};

use portunus_mcp::era::Era;

use super::{
    expected,
    peer::Script,
    round_trip::{Answer, ID, RoundTrip, everywhere},
    text::{Object, Value, open_request},
    world::{Messages, World, answers_in_events, next, request},
};

/// Recorded messages by their name and what they are, each taken apart.
fn recorded() -> BTreeMap<(String, String), Object> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/transparency/recorded");
    let files = fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
    let files = files.filter(|path| path.extension().is_some_and(|extension| extension == "json"));
    let read = files.map(|path| {
        let name = path.file_name().unwrap().to_str().unwrap().strip_suffix(".json").unwrap();
        let (name, kind) = name.rsplit_once('.').unwrap();
        (
            (name.to_owned(), kind.to_owned()),
            Object::taken_apart(&fs::read_to_string(&path).unwrap()),
        )
    });
    read.collect()
}

/// Of one kind, with what belongs to each.
fn pairs(kind: &str, other: &str) -> Vec<(String, Object, Object)> {
    let all = recorded();
    let of_kind = all.iter().filter(|((_, what), _)| what == kind);
    of_kind
        .map(|((name, _), one)| {
            (name.clone(), one.clone(), all[&(name.clone(), other.to_owned())].clone())
        })
        .collect()
}

fn era(name: &str) -> Era {
    if name.starts_with("legacy-") { Era::Legacy } else { Era::Modern }
}

fn unquoted(value: Option<&Value>) -> String {
    value.map(Value::text).unwrap_or_default().trim_matches('"').to_owned()
}

fn object(value: Option<&Value>) -> Object {
    match value {
        Some(Value::Object(object)) => object.clone(),
        _ => Object::default(),
    }
}

#[tokio::test]
async fn requests_and_their_answers() {
    let mut world = World::new().await;
    let pairs = pairs("request", "answer");
    assert!(pairs.len() >= 25, "the recorded messages are there");
    for (what, message, answer) in &pairs {
        let method = unquoted(message.find("method"));
        let params = object(message.find("params"));
        let answer = match answer.find("error") {
            Some(error) => Answer::Error(object(Some(error))),
            None => Answer::Result(object(answer.find("result"))),
        };
        // These are no answers but questions, which the gateway asks in the other era's way.
        let asks =
            what.contains("input-required") || what.contains("trigger-url-elicitation-error");
        everywhere(&mut world, async |client, server, peer, heard, is_merged| {
            let by_uri = params.find("uri").is_some() || what.ends_with("complete-resource");
            let is_across = client.era != peer.era;
            // A merged list is the gateway's own, as is what a modern server is told of
            // subscriptions; URIs lead to the server that lists them.
            let is_ours = is_merged && (method.ends_with("/list") || by_uri)
                || is_across && method.ends_with("subscribe");
            if client.era != era(what)
                || is_ours
                || is_across && asks
                || is_merged && what.contains("list-roots")
            {
                return;
            }
            answers_in_events(peer, false);
            let mut params = params.clone();
            let has_reference = params.find("ref").is_some();
            let plain = match params.find("ref") {
                Some(Value::Object(reference)) => unquoted(reference.find("name")),
                _ => unquoted(params.find("name").or(params.find("uri"))),
            };
            let name = if is_merged { format!("{server}_{plain}") } else { plain };
            let place = match params.find_mut("ref") {
                Some(Value::Object(reference)) => reference,
                _ => &mut params,
            };
            if is_merged {
                place.replace("name", &format!("\"{name}\""));
            }
            let name = if has_reference && !is_merged { String::new() } else { name };
            let trip = RoundTrip {
                method: &method,
                name: &name,
                params: &params,
                answer: &answer,
                call_events: &[],
            };
            trip.run(client, peer, heard, is_merged).await;
        })
        .await;
    }
    world.end().await;
}

#[tokio::test]
async fn questions_replies_and_events() {
    let mut world = World::new().await;
    let log = recorded()
        .remove(&("legacy-typescript-message".to_owned(), "notification".to_owned()))
        .unwrap();
    let log = format!(
        r#"{{"jsonrpc":"2.0","method":"notifications/message","params":{}}}"#,
        log.find("params").unwrap().text()
    );
    let questions = pairs("question", "reply");
    assert!(questions.len() >= 4, "the recorded messages are there");
    for (what, question, reply) in &questions {
        let method = unquoted(question.find("method"));
        let params = question.find("params").map(Value::text);
        for at in 0..world.servers.len() {
            let client = world.client(Era::Legacy, Some(world.servers[at].0)).await;
            let (_, peer, heard) = &mut world.servers[at];
            if peer.era == Era::Modern {
                continue;
            }
            answers_in_events(peer, true);
            let own = question.text();
            let first = vec![log.clone(), own];
            let script = Script {
                method: "tools/call".to_owned(),
                first,
                waits: true,
                answer: r#""result":{}"#.to_owned(),
            };
            peer.play(script);
            let posted =
                client.post("tools/call", "t", &request(ID, "tools/call", r#"{"name":"t"}"#)).await;
            let mut messages = Messages::of(posted);
            next(heard, "the call").await;
            assert_eq!(messages.next().await.as_deref(), Some(&*log), "{what}");
            let asked = messages.next().await.unwrap();
            let (client_id, ..) = open_request(&asked)
                .unwrap_or_else(|| panic!("{what}: no request of ours: {asked}"));
            let expected = match &params {
                Some(params) => request(client_id, &method, params),
                // There are clients whose parser expects an object (FB79).
                None => request(client_id, &method, "{}"),
            };
            assert_eq!(asked, expected, "{what}");
            let result = reply.find("result").unwrap().text();
            client
                .post("", "", &format!(r#"{{"result":{result},"jsonrpc":"2.0","id":{client_id}}}"#))
                .await;
            let own_id = question.find("id").unwrap().text();
            let expected = format!(r#"{{"jsonrpc":"2.0","id":{own_id},"result":{result}}}"#);
            assert_eq!(next(heard, "the reply").await, expected, "{what}");
            let last = format!(r#"{{"jsonrpc":"2.0","id":{ID},"result":{{}}}}"#);
            assert_eq!(
                messages.next().await.as_deref(),
                Some(&*expected::in_events(&last)),
                "{what}"
            );
        }
    }
    world.end().await;
}
