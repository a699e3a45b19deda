//! Getting to know a server: in the era of its caller first (FB41), whatever it does when it is
//! asked what it does not know (FB30), and with a revision that it has (FB35).
#![expect(clippy::unwrap_used, reason = "a test stops where it stands")]

mod support;

use std::{collections::BTreeMap, convert::Infallible, path::Path, sync::Arc, time::Duration};

use axum::{
    body::Body,
    http::StatusCode,
    response::{IntoResponse as _, Response},
};
use futures::{StreamExt as _, stream};
use portunus_mcp::{
    era::Era,
    sandbox::Sandbox,
    spec::{Isolation, ServerSpec, Transport},
    upstream::{Call, Connection, ConnectionUser, Event, UpstreamError, Upstreams},
    wire::{Outcome, RequestId},
};
use support::{
    connection_user, name, pool,
    scripted::{HttpServer, answer},
    spec,
};

fn of_era(era: Era) -> ConnectionUser {
    ConnectionUser { era, ..connection_user("ada", "1") }
}

async fn met(pool: &Upstreams, era: Era) -> Result<Arc<Connection>, UpstreamError> {
    pool.connection(&name("fixture"), &of_era(era)).await
}

/// A child that notes its starts and the first message of each, and answers a handshake.
/// `otherwise` is what it does at any other first message.
fn child(notes: &Path, slow: &str, otherwise: &str) -> ServerSpec {
    let script = format!(
        r#"sleep {slow}
        read line
        case "$line" in
        *'"initialize"'*) echo initialize >> "$0"; id=$(printf %s "$line" | sed 's/.*"id":\([0-9]*\).*/\1/')
            echo "{{\"jsonrpc\":\"2.0\",\"id\":$id,\"result\":{{\"protocolVersion\":\"2025-06-18\",\"capabilities\":{{}}}}}}"; cat > /dev/null ;;
        *) echo other >> "$0"; {otherwise} ;;
        esac"#
    );
    let args = vec!["-c".to_owned(), script, notes.to_str().unwrap().to_owned()];
    let transport = Transport::Stdio {
        command: "sh".to_owned(),
        args,
        env: BTreeMap::new(),
        cwd: None,
        sandbox: Sandbox::default(),
    };
    ServerSpec {
        connect_timeout: Duration::from_secs(3),
        isolation: Isolation::User,
        ..spec("fixture", transport)
    }
}

fn noted(notes: &Path) -> Vec<String> {
    std::fs::read_to_string(notes).unwrap_or_default().lines().map(str::to_owned).collect()
}

#[tokio::test]
async fn fb30_a_child_that_cannot_bear_another_first_message_is_started_once_more() {
    let folder = tempfile::tempdir().unwrap();
    // It dies, ends as if all were well, closes its output, or says nothing any more; each of them
    // at once, or after a slow start.
    for (n, (slow, otherwise)) in [
        ("0", "exit 1"),
        ("0", "exit 0"),
        ("0", "exec >&-; sleep 60"),
        ("0", "sleep 60"),
        ("1.2", "exit 1"),
        ("1.2", "sleep 60"),
    ]
    .into_iter()
    .enumerate()
    {
        let notes = folder.path().join(n.to_string());
        let pool = pool(child(&notes, slow, otherwise));
        let connection = met(&pool, Era::Modern).await.unwrap();
        assert_eq!(connection.info().era, Era::Legacy, "{slow} {otherwise}");
        assert_eq!(
            noted(&notes),
            ["other", "initialize"],
            "{slow} {otherwise}: one more start, with the handshake first"
        );
        let bob = ConnectionUser { era: Era::Modern, ..connection_user("bob", "1") };
        pool.connection(&name("fixture"), &bob).await.unwrap();
        assert_eq!(noted(&notes)[2..], ["initialize"], "{slow} {otherwise}: it is remembered");
    }
}

#[tokio::test]
async fn fb30_a_legacy_client_never_has_a_server_asked_what_it_may_not_bear() {
    let folder = tempfile::tempdir().unwrap();
    let notes = folder.path().join("notes");
    let pool = pool(child(&notes, "1.2", "exit 1"));
    met(&pool, Era::Legacy).await.unwrap();
    assert_eq!(noted(&notes), ["initialize"]);
}

#[tokio::test]
async fn fb30_the_era_of_a_server_can_be_configured() {
    let folder = tempfile::tempdir().unwrap();
    let notes = folder.path().join("notes");
    let pool = pool(ServerSpec { era: Some(Era::Legacy), ..child(&notes, "0", "exit 1") });
    met(&pool, Era::Modern).await.unwrap();
    assert_eq!(noted(&notes), ["initialize"]);
    let pool = support::pool(ServerSpec { era: Some(Era::Modern), ..child(&notes, "0", "exit 1") });
    met(&pool, Era::Legacy).await.err().unwrap();
    assert_eq!(
        noted(&notes)[1..],
        ["other"],
        "it is asked as it was configured, and in no other way"
    );
}

fn greeted(id: &RequestId, revision: &str) -> Response {
    answer(
        id,
        &format!(
            r#""result":{{"protocolVersion":"{revision}","capabilities":{{"resources":{{"subscribe":true}}}}}}"#
        ),
    )
}

fn discovered(id: &RequestId) -> Response {
    answer(
        id,
        r#""result":{"resultType":"complete","supportedVersions":["2026-07-28"],"capabilities":{"tools":{}}}"#,
    )
}

#[tokio::test]
async fn fb30_an_http_server_that_drops_the_connection_is_greeted_once_more() {
    let server = HttpServer::start(Arc::new(|method, _, id| match method {
        "initialize" => Some(greeted(id, "2025-06-18")),
        "server/discover" => None,
        _ => Some(answer(id, r#""result":{}"#)),
    }))
    .await;
    let connection = met(&server.pool, Era::Modern).await.unwrap();
    assert_eq!(connection.info().era, Era::Legacy);
    assert_eq!(server.asked(), ["server/discover", "initialize"]);
}

#[tokio::test]
async fn fb41_a_server_of_both_eras_is_met_in_its_callers() {
    let server = HttpServer::start(Arc::new(|method, _, id| {
        Some(match method {
            "initialize" => greeted(id, "2025-11-25"),
            "server/discover" => discovered(id),
            _ => answer(id, r#""result":{}"#),
        })
    }))
    .await;
    for era in [Era::Modern, Era::Legacy, Era::Modern, Era::Legacy] {
        let connection = met(&server.pool, era).await.unwrap();
        assert_eq!(connection.info().era, era);
        let can_subscribe = connection.info().capabilities.as_str().contains("subscribe");
        assert_eq!(can_subscribe, era == Era::Legacy, "what each half offers is its own");
        assert!(matches!(
            connection.request("tools/list", None, Call::default()).await,
            Ok(Outcome::Result(_))
        ));
    }
    let greetings: Vec<_> =
        server.asked().into_iter().filter(|method| method != "tools/list").collect();
    assert_eq!(greetings, ["server/discover", "initialize"], "once for each");
}

#[tokio::test]
async fn fb41_a_server_of_one_era_serves_clients_of_both() {
    for (has, method_of_the_other) in
        [(Era::Legacy, "server/discover"), (Era::Modern, "initialize")]
    {
        let server = HttpServer::start(Arc::new(move |method, _, id| {
            Some(match method {
                "initialize" if has == Era::Legacy => greeted(id, "2025-11-25"),
                "server/discover" if has == Era::Modern => discovered(id),
                "initialize" | "server/discover" => {
                    answer(id, r#""error":{"code":-32601,"message":"Method not found"}"#)
                }
                _ => answer(id, r#""result":{}"#),
            })
        }))
        .await;
        for user in ["ada", "bob", "eve"] {
            for era in [Era::Legacy, Era::Modern] {
                let connection_user = ConnectionUser { era, ..connection_user(user, "1") };
                let connection =
                    server.pool.connection(&name("fixture"), &connection_user).await.unwrap();
                assert_eq!(connection.info().era, has);
            }
        }
        let in_vain = server.asked().iter().filter(|method| *method == method_of_the_other).count();
        assert_eq!(in_vain, 1, "{has:?}: it is remembered");
    }
}

#[tokio::test]
async fn fb35_older_revisions_are_offered_to_who_refuses_the_newest() {
    let refusal = |id: &RequestId, data: &str| {
        answer(
            id,
            &format!(r#""error":{{"code":-32602,"message":"Unsupported protocol version"{data}}}"#),
        )
    };
    // What the server says it has, and which are offered before the one that it takes.
    for (data, takes, offers) in [
        (r#","data":{"supported":["2024-11-05"]}"#, "2024-11-05", 2),
        (r#","data":{"supported":["2024-11-05","2025-03-26"],"requested":"x"}"#, "2025-03-26", 2),
        ("", "2025-03-26", 3),
        ("", "2024-11-05", 4),
    ] {
        let server = HttpServer::start(Arc::new(move |_, params, id| {
            Some(if params.contains(takes) { greeted(id, takes) } else { refusal(id, data) })
        }))
        .await;
        let connection = met(&server.pool, Era::Legacy).await.unwrap();
        assert_eq!(
            (connection.info().protocol_version.as_str(), server.asked().len()),
            (takes, offers),
            "{data}"
        );
    }
    // One that wants something else is not asked again and again.
    let server = HttpServer::start(Arc::new(|_, _, id| {
        Some(answer(id, r#""error":{"code":-32603,"message":"no licence"}"#))
    }))
    .await;
    let error = met(&server.pool, Era::Legacy).await.err().unwrap();
    assert!(error.detail().unwrap().contains("no licence"), "{error:?}");
    assert!(
        server.asked().iter().filter(|method| *method == "initialize").count() == 1,
        "{:?}",
        server.asked()
    );
}

#[tokio::test]
async fn fb35_a_revision_between_two_is_taken_for_the_older_one() {
    for (revision, is_taken) in [
        ("2025-07-09", true),
        ("2025-12-11", true),
        ("2024-10-07", false),
        ("2026-08-01", false),
        ("DRAFT-2025", false),
        ("", false),
    ] {
        let server = HttpServer::start(Arc::new(move |method, _, id| {
            Some(if method == "initialize" {
                greeted(id, revision)
            } else {
                answer(id, r#""error":{"code":-32601,"message":"?"}"#)
            })
        }))
        .await;
        assert_eq!(met(&server.pool, Era::Legacy).await.is_ok(), is_taken, "{revision}");
    }
}

/// A child that answers a handshake and one call, and ends in its own way.
fn for_one_call(notes: &Path, end: &str) -> ServerSpec {
    let script = format!(
        r#"echo start >> "$0"
        answer() {{ read line; id=$(printf %s "$line" | sed 's/.*"id":\([0-9]*\).*/\1/'); printf "$1" | sed "s/@/$id/g"; }}
        answer '{{"jsonrpc":"2.0","id":@,"result":{{"protocolVersion":"2025-06-18","capabilities":{{}}}}}}\n'; read line
        answer '{{"jsonrpc":"2.0","id":@,"result":{{}}}}\n'; {end}"#
    );
    let args = vec!["-c".to_owned(), script, notes.to_str().unwrap().to_owned()];
    let transport = Transport::Stdio {
        command: "sh".to_owned(),
        args,
        env: BTreeMap::new(),
        cwd: None,
        sandbox: Sandbox::default(),
    };
    ServerSpec { isolation: Isolation::User, ..spec("fixture", transport) }
}

#[tokio::test]
async fn fb39_a_child_that_ends_well_after_each_call_is_no_failure() {
    let folder = tempfile::tempdir().unwrap();
    for (end, is_failure) in [("exit 0", false), ("exit 3", true)] {
        let notes = folder.path().join(end);
        let pool = pool(for_one_call(&notes, end));
        for n in 0..4 {
            let connection = match met(&pool, Era::Legacy).await {
                Ok(connection) => connection,
                Err(UpstreamError::Backoff { .. }) if is_failure && n > 0 => break,
                Err(error) => panic!("{end}, {n}: {error}"),
            };
            assert!(!is_failure || n == 0, "{end}: it is left alone for a while");
            assert!(
                matches!(
                    connection.request("x", None, Call::default()).await,
                    Ok(Outcome::Result(_))
                ),
                "{end}, {n}"
            );
            connection.closed().await;
        }
        let starts = noted(&notes).len();
        assert_eq!(starts, if is_failure { 1 } else { 4 }, "{end}");
    }
}

/// A server that has declared no changes is asked for them when a client wants to hear of them,
/// and what it refuses ends nothing.
#[tokio::test]
async fn fb42_undeclared_lists_are_asked_for_when_they_are_wanted() {
    for agrees in [true, false] {
        let server = HttpServer::start(Arc::new(move |method, _, id| {
            Some(match method {
                "server/discover" => discovered(id),
                "subscriptions/listen" if agrees => {
                    let told = [
                        r#"{"jsonrpc":"2.0","method":"notifications/subscriptions/acknowledged","params":{"notifications":{"toolsListChanged":true}}}"#,
                        r#"{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}"#,
                    ];
                    let first = told.map(|text| Ok::<_, Infallible>(format!("data: {text}\n\n")));
                    let body = Body::from_stream(stream::iter(first).chain(stream::pending()));
                    ([("content-type", "text/event-stream")], body).into_response()
                }
                "subscriptions/listen" => StatusCode::NOT_FOUND.into_response(),
                _ => answer(id, r#""result":{}"#),
            })
        }))
        .await;
        let connection = met(&server.pool, Era::Modern).await.unwrap();
        let mut events = connection.events();
        assert!(matches!(
            connection.request("tools/list", None, Call::default()).await,
            Ok(Outcome::Result(_))
        ));
        assert!(
            !server.asked().contains(&"subscriptions/listen".to_owned()),
            "nobody wants to hear of anything"
        );
        connection.follow_lists(&["toolsListChanged"]).await;
        if agrees {
            let told = async {
                while !matches!(events.recv().await, Ok(Event::Notification { method, .. }) if method == "notifications/tools/list_changed")
                {
                }
            };
            tokio::time::timeout(support::PATIENCE, told).await.expect("it is told");
        }
        assert!(matches!(
            connection.request("tools/list", None, Call::default()).await,
            Ok(Outcome::Result(_))
        ));
        assert!(!connection.is_closed(), "{agrees}");
        let asked =
            server.asked().into_iter().filter(|method| method == "subscriptions/listen").count();
        assert_eq!(asked, 1, "once, whatever it says");
    }
}
