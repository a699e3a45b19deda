//! What is counted, and what does not become a series.

use http::{Method, StatusCode};
use portunus_core::audit::{Call, CallKind, CallOutcome, Event, RefusalReason};

use super::{
    Metrics,
    calls::{MOST, OTHER},
    events::NOT_COUNTED,
};

fn call(name: &str, outcome: CallOutcome) -> Event {
    Event::Call(Call {
        kind: CallKind::Tool,
        server: Some("dice".to_owned()),
        name: name.to_owned(),
        outcome,
        code: None,
        ms: 3,
        request_bytes: 10,
        answer_bytes: 20,
        times: None,
        would_refuse: None,
    })
}

/// Name, outcome, how many.
fn counted(metrics: &Metrics) -> Vec<(String, &'static str, u64)> {
    let all = metrics.calls().outcomes().into_iter();
    all.map(|(key, count)| (key.name.into_string(), key.outcome, count)).collect()
}

#[test]
fn a_name_becomes_a_series_when_its_server_has_answered_to_it() {
    let metrics = Metrics::default();
    metrics.event(&call("made_up", CallOutcome::Refused));
    metrics.event(&call("made_up_too", CallOutcome::ServerError));
    metrics.event(&call("roll", CallOutcome::PolicyRefused));
    metrics.event(&call("roll", CallOutcome::Ok));
    metrics.event(&call("roll", CallOutcome::Ok));
    metrics.event(&call("roll", CallOutcome::PolicyRefused));
    assert_eq!(
        counted(&metrics),
        [
            ("roll".to_owned(), "ok", 2),
            ("roll".to_owned(), "policy_refused", 1),
            (OTHER.to_owned(), "policy_refused", 1),
            (OTHER.to_owned(), "refused", 1),
            (OTHER.to_owned(), "server_error", 1),
        ]
    );
    let servers = metrics.calls().servers();
    let [(whose, figures)] = &servers[..] else { panic!("one server, one kind") };
    assert_eq!((&*whose.server, whose.kind), ("dice", "tool"));
    assert_eq!(figures.took.read().count(), 6);
}

#[test]
fn no_more_names_than_there_is_room_for_become_series() {
    let metrics = Metrics::default();
    for n in 0..MOST + 10 {
        metrics.event(&call(&format!("tool_{n}"), CallOutcome::Ok));
    }
    let counts = counted(&metrics);
    assert_eq!(counts.len(), MOST + 1);
    assert_eq!(counts.last(), Some(&(OTHER.to_owned(), "ok", 10)));
}

#[test]
fn a_resource_is_never_named() {
    let metrics = Metrics::default();
    let read = Call {
        kind: CallKind::Resource,
        name: "notes://alice/salaries".to_owned(),
        ..match call("x", CallOutcome::Ok) {
            Event::Call(call) => call,
            _ => unreachable!(),
        }
    };
    metrics.event(&Event::Call(read));
    assert_eq!(counted(&metrics), [(String::new(), "ok", 1)]);
}

#[test]
fn events_are_counted_by_provider_and_reason() {
    let metrics = Metrics::default();
    for _ in 0..2 {
        metrics.event(&Event::SignedIn { provider: "okta".to_owned() });
    }
    metrics.event(&Event::Refused {
        reason: RefusalReason::UnknownToken,
        about: Some("whatever a stranger sent".to_owned()),
    });
    let mut counts = metrics.events().read();
    counts.retain(|(_, count)| *count > 0);
    assert_eq!(
        counts,
        [(("refused", "unknown_token".to_owned()), 1), (("signed_in", "okta".to_owned()), 2)]
    );
}

/// Else nothing increases with the first token that is used twice.
#[test]
fn what_may_happen_is_counted_from_0_on() {
    let metrics = Metrics::default();
    metrics.expect_provider("okta");
    let counts = metrics.events().read();
    assert!(counts.iter().all(|(_, count)| *count == 0));
    let is_there = |word: &str, detail: &str| {
        counts.iter().any(|((event, of), _)| *event == word && of == detail)
    };
    for word in Event::WORDS {
        let expected: Vec<&str> = match *word {
            "refused" => RefusalReason::ALL.iter().map(|reason| reason.word()).collect(),
            "signed_in" | "signed_out" => vec!["okta"],
            word if NOT_COUNTED.contains(&word) => vec![],
            _ => vec![""],
        };
        for detail in &expected {
            assert!(is_there(word, detail), "{word} {detail}");
        }
        let series = counts.iter().filter(|((event, _), _)| event == word);
        assert_eq!(series.count(), expected.len(), "{word}");
    }
    assert!(is_there("refresh_reused", "") && is_there("code_reused", ""));
    for word in NOT_COUNTED {
        assert!(Event::WORDS.contains(&word), "{word} is no event");
    }
}

#[test]
fn a_tool_that_is_called_like_the_rest_is_counted_among_the_rest() {
    let metrics = Metrics::default();
    for name in [OTHER, "other"] {
        metrics.event(&call(name, CallOutcome::Ok));
    }
    metrics.event(&call("made_up", CallOutcome::Refused));
    assert_eq!(
        counted(&metrics),
        [
            ("other".to_owned(), "ok", 1),
            (OTHER.to_owned(), "ok", 1),
            (OTHER.to_owned(), "refused", 1),
        ]
    );
}

#[test]
fn requests_are_counted_by_what_their_path_is() {
    let metrics = Metrics::default();
    for (path, method, status) in [
        ("/mcp", Method::POST, StatusCode::OK),
        ("/mcp", Method::POST, StatusCode::OK),
        ("/mcp/dice", Method::GET, StatusCode::UNAUTHORIZED),
        ("/auth/token", Method::POST, StatusCode::IM_A_TEAPOT),
        ("/made/up", Method::TRACE, StatusCode::NOT_FOUND),
    ] {
        metrics.request(&method, path).answered(status);
    }
    let broken_off = metrics.request(&Method::GET, "/mcp");
    assert_eq!(metrics.requests().under_way(), 1);
    drop(broken_off);
    assert_eq!(metrics.requests().under_way(), 0);
    let answers = metrics.requests().answers().into_iter();
    let answers: Vec<_> =
        answers.map(|one| (one.route, one.method, one.status, one.count)).collect();
    assert_eq!(
        answers,
        [
            ("/mcp", "POST", "200".to_owned(), 2),
            ("/mcp/{server}", "GET", "401".to_owned(), 1),
            ("/auth/token", "POST", "4xx".to_owned(), 1),
            ("other", "other", "404".to_owned(), 1),
        ]
    );
}
