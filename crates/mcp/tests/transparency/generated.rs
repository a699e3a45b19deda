//! Made-up requests, answers and notifications. What servers ask in the middle of a call is next
//! door, in [`super::asked`].

use portunus_mcp::era::Era;
use proptest::{prelude::*, sample::select};

use super::{
    expected::own_meta,
    made_up::{self, Stuff, inside, nested, stuff, value},
    made_up_cases,
    round_trip::{Answer, RoundTrip, everywhere, name},
    text::{Object, Value, open_notification},
    world::{self, answers_in_events},
};

/// Levels that are left for a member of `params`, of the 128 that a message may have.
const DEEPEST: usize = 126;

const METHODS: &[&str] =
    &["tools/call", "prompts/get", "resources/read", "completion/complete", "vendor/unheard-of"];

#[derive(Clone, Debug)]
struct Case {
    method: &'static str,
    params: Stuff,
    arguments: String,
    /// As the client spells it.
    token: Option<&'static str>,
    answer: Stuff,
    kind: Kind,
    in_events: bool,
}

#[derive(Clone, Debug)]
enum Kind {
    Result { is_public: bool, is_typed: bool },
    Error { code: &'static str, message: String, names_uri: bool },
}

fn cases() -> impl Strategy<Value = Case> {
    let arguments = prop_oneof![8 => value(), 1 => Just(nested(DEEPEST, "1E400"))];
    let token = select(
        &[
            None,
            Some(r#""mine-\u0061""#),
            Some("12345678901234567890123"),
            Some("1.0"),
            Some(r#""\/""#),
        ][..],
    );
    let result = (any::<bool>(), any::<bool>())
        .prop_map(|(is_public, is_typed)| Kind::Result { is_public, is_typed });
    let codes = select(&["-32002", "-32602", "-32050", "-3.2050e4", "1E400", "0"][..]);
    let error = (codes, inside(), any::<bool>()).prop_map(|(code, message, names_uri)| {
        Kind::Error { code, message: format!("\"{message}\""), names_uri }
    });
    let kind = prop_oneof![2 => result, 1 => error];
    (select(METHODS), stuff(), arguments, token, stuff(), kind, any::<bool>()).prop_map(
        |(method, params, arguments, token, answer, kind, in_events)| Case {
            method,
            params,
            arguments,
            token,
            answer,
            kind,
            in_events,
        },
    )
}

impl Case {
    fn params(&self, client: Era, server: &str, port: u16, is_merged: bool) -> Object {
        let Self { method, params, arguments, token, .. } = self;
        let arguments = Value::Raw(arguments.clone());
        let name = name(server, is_merged, params.escapes_keys);
        let own = match *method {
            "tools/call" | "prompts/get" => vec![("name", name), ("arguments", arguments)],
            "resources/read" => {
                vec![("uri", Value::Raw(format!(r#""{port}:\u0074""#))), ("arguments", arguments)]
            }
            "completion/complete" => {
                let reference =
                    [("type", Value::Raw(r#""ref/prompt""#.to_owned())), ("name", name)];
                let reference = Stuff { has_meta: false, members: Vec::new(), ..params.clone() }
                    .object(&reference, &[]);
                vec![("ref", Value::Object(reference)), ("argument", arguments)]
            }
            // The members that other methods have mean nothing here.
            _ => vec![
                ("arguments", arguments),
                ("name", Value::Raw("5".to_owned())),
                ("cursor", Value::Raw("{}".to_owned())),
            ],
        };
        let mut meta = if client == Era::Modern { own_meta().to_vec() } else { Vec::new() };
        meta.extend(token.map(|token| ("progressToken", token.to_owned())));
        params.object(&own, &meta)
    }

    fn answer(&self) -> Answer {
        let raw = |text: &str| Value::Raw(text.to_owned());
        match &self.kind {
            Kind::Result { is_public, is_typed } => {
                let mut own = vec![("deep", Value::Raw(self.arguments.clone()))];
                own.extend(is_typed.then(|| ("resultType", raw(r#""complete""#))));
                own.extend(is_public.then(|| ("cacheScope", raw(r#""public""#))));
                own.extend(is_public.then(|| ("ttlMs", raw("1.0"))));
                Answer::Result(self.answer.object(&own, &[]))
            }
            Kind::Error { code, message, names_uri } => {
                let data = if *names_uri { vec![("uri", raw(r#""a:\/b""#))] } else { Vec::new() };
                let data = Stuff { has_meta: false, ..self.answer.clone() }.object(&data, &[]);
                let own =
                    [("code", raw(code)), ("message", raw(message)), ("data", Value::Object(data))];
                Answer::Error(self.answer.object(&own, &[]))
            }
        }
    }
}

#[test]
fn requests_and_their_answers_arrive_as_they_were_sent() {
    made_up_cases(64, &cases(), &async |world, case| {
        let answer = case.answer();
        everywhere(world, async |client, server, peer, heard, is_merged| {
            if is_merged && case.method.starts_with("vendor/") {
                return;
            }
            answers_in_events(peer, case.in_events);
            let params = case.params(client.era, server, peer.port, is_merged);
            let uri = format!("{}:t", peer.port);
            let name = match case.method {
                "resources/read" => uri,
                _ if is_merged => format!("{server}_t"),
                _ => "t".to_owned(),
            };
            let trip = RoundTrip {
                method: case.method,
                name: &name,
                params: &params,
                answer: &answer,
                call_events: &[],
            };
            trip.run(client, peer, heard, is_merged).await;
        })
        .await;
    });
}

#[test]
fn news_of_a_call_arrives_as_it_was_sent() {
    let call_events = (stuff(), stuff(), stuff(), value());
    made_up_cases(32, &call_events, &async |world, (log, progress, params, data)| {
        let raw = |text: &str| Value::Raw(text.to_owned());
        let answer = Answer::Result(log.object(&[], &[]));
        everywhere(world, async |client, server, peer, heard, is_merged| {
            answers_in_events(peer, true);
            let token = r#""mine-\u0061""#;
            let log = log.object(&[("level", raw(r#""\u0069nfo""#)), ("data", raw(&data))], &[]);
            let told = |token: &str| {
                progress
                    .object(&[("progressToken", raw(token)), ("progress", raw("1.0e0"))], &[])
                    .text()
            };
            let message = |method: &str, params: &str| {
                format!(r#"{{"jsonrpc":"2.0","method":"{method}","params":{params}}}"#)
            };
            let call_events = [
                (
                    message("notifications/message", &log.text()),
                    message("notifications/message", &log.text()),
                ),
                (
                    message("notifications/progress", &told("@id@")),
                    message("notifications/progress", &told(token)),
                ),
            ];
            let mut meta = if client.era == Era::Modern { own_meta().to_vec() } else { Vec::new() };
            meta.push(("progressToken", token.to_owned()));
            let params = params.object(&[("name", name(server, is_merged, false))], &meta);
            let header = if is_merged { format!("{server}_t") } else { "t".to_owned() };
            let trip = RoundTrip {
                method: "tools/call",
                name: &header,
                params: &params,
                answer: &answer,
                call_events: &call_events,
            };
            trip.run(client, peer, heard, is_merged).await;
        })
        .await;
    });
}

#[test]
fn notifications_of_clients_arrive_as_they_were_sent() {
    made_up_cases(16, &stuff(), &async |world, params| {
        everywhere(world, async |client, _, peer, heard, is_merged| {
            // On `/mcp` no server is meant in particular, and across the eras there is nothing to
            // tell.
            if is_merged || client.era != peer.era {
                return;
            }
            let params = params.object(&[], &[]).text();
            for method in ["notifications/roots/list_changed", "notifications/vendor"] {
                let message =
                    format!(r#"{{"jsonrpc":"2.0","method":"{method}","params":{params}}}"#);
                let answer = client.post(method, "", &message).await;
                assert_eq!(answer.status, 202);
                let got = world::next(heard, "a notification").await;
                let expected =
                    if peer.is_child { params.replace(['\n', '\r'], " ") } else { params.clone() };
                assert_eq!(open_notification(&got), Some((method, Some(&*expected))));
            }
        })
        .await;
    });
}

/// Of one server, a list is what the server sent. What a merged list keeps of each item, the tests
/// of lists know.
#[test]
fn lists_of_one_server_arrive_as_they_were_sent() {
    let tools = (made_up::strangers("x"), value(), stuff());
    made_up_cases(16, &tools, &async |world, (members, extra, result)| {
        let stranger = Stuff { members, has_meta: false, ..result.clone() };
        let schema = Value::Raw(format!(r#"{{"type":"object","x":{extra}}}"#));
        let tool = stranger
            .object(&[("name", Value::Raw(r#""\u0074""#.to_owned())), ("inputSchema", schema)], &[])
            .text();
        let answer =
            Answer::Result(result.object(&[("tools", Value::Raw(format!("[ {tool} ]")))], &[]));
        everywhere(world, async |client, _, peer, heard, is_merged| {
            if is_merged {
                return;
            }
            answers_in_events(peer, false);
            let meta = if client.era == Era::Modern { own_meta().to_vec() } else { Vec::new() };
            let params = result.object(&[], &meta);
            let trip = RoundTrip {
                method: "tools/list",
                name: "",
                params: &params,
                answer: &answer,
                call_events: &[],
            };
            trip.run(client, peer, heard, is_merged).await;
        })
        .await;
    });
}
