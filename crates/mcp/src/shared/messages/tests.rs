//! Whatever one node says, another reads.

use super::*;

fn payload(text: &str) -> Payload {
    Payload::from_json(text).unwrap()
}

/// Raw in the full sense: an unknown member, white space, a number as it was spelt.
const ODD: &str = "{ \"b\": 1.0e2,\n \"a\":[\"\\u00e9\"] }";

#[test]
fn orders_are_read_as_they_were_meant() {
    let params = || Some(payload(ODD));
    let asked = |timeout| Asked {
        method: "x/\"y\"".to_owned(),
        params: params(),
        wants_events: true,
        timeout,
    };
    for order in [
        NodeRequest::Attach,
        NodeRequest::Request(7, asked(None)),
        NodeRequest::Request(7, asked(Some(Duration::from_millis(1500)))),
        NodeRequest::Request(7, Asked { params: None, wants_events: false, ..asked(None) }),
        NodeRequest::Notify(8, "notifications/x".to_owned(), params()),
        NodeRequest::FollowTask(9, "task \"1\"".to_owned(), true),
    ] {
        let written = order.write();
        let read = NodeRequest::read(&written).unwrap_or_else(|| panic!("{order:?}"));
        assert_eq!(read.write(), written, "{order:?}");
    }
    for other in ["", "{}", r#"{"order":"dance"}"#, r#"{"order":"request","attachment":1}"#] {
        assert!(NodeRequest::read(&Bytes::from_static(other.as_bytes())).is_none(), "{other}");
    }
}

#[test]
fn words_are_read_as_they_were_meant() {
    let detail = || "what \"happened\"".to_owned();
    let failures = [
        UpstreamError::NotFound,
        UpstreamError::Spawn { detail: detail() },
        UpstreamError::Connect { detail: detail() },
        UpstreamError::Handshake { detail: detail() },
        UpstreamError::Status { status: 418, words: "no tea".to_owned() },
        UpstreamError::Backoff { retry_in: Duration::from_millis(1234), detail: detail() },
        UpstreamError::TooMany,
        UpstreamError::ShareUsedUp { limit: 3 },
        UpstreamError::Busy,
        UpstreamError::Timeout,
        UpstreamError::Closed { detail: detail() },
        UpstreamError::SessionExpired,
        UpstreamError::Lost,
        UpstreamError::Cancelled,
        UpstreamError::TooLarge,
        UpstreamError::Params(WireError::InvalidParams("odd".to_owned())),
        UpstreamError::Protocol { detail: detail() },
    ];
    for failure in failures {
        let Some(NodeEvent::Failed(read)) =
            NodeEvent::read(&NodeEvent::Failed(failure.clone()).write())
        else {
            panic!("{failure:?}")
        };
        assert_eq!(read.to_string(), failure.to_string());
        assert_eq!(read.detail(), failure.detail());
    }
    let params = || Some(payload(ODD));
    for word in [
        NodeEvent::Event("notifications/x".to_owned(), params()),
        NodeEvent::Event("notifications/x".to_owned(), None),
        NodeEvent::Progress(payload(ODD)),
        NodeEvent::Notification("notifications/message".to_owned(), params()),
        NodeEvent::Answered(Outcome::Result(payload(ODD))),
        NodeEvent::Answered(Outcome::Error(payload(ODD))),
        NodeEvent::Followed(false),
        NodeEvent::Done,
        NodeEvent::Unknown,
    ] {
        let written = word.write();
        assert!(
            matches!(word, NodeEvent::Followed(_) | NodeEvent::Done | NodeEvent::Unknown)
                || String::from_utf8_lossy(&written).contains(ODD)
                || matches!(word, NodeEvent::Event(_, None)),
            "{word:?}"
        );
        let read = NodeEvent::read(&written).unwrap_or_else(|| panic!("{word:?}"));
        assert_eq!(read.write(), written, "{word:?}");
    }
}

#[test]
fn a_server_is_introduced_as_it_introduced_itself() {
    let legacy = r#"{"protocolVersion":"2025-06-18","capabilities":{"tools":{}},"serverInfo":{"name":"x"},"instructions":"Roll.","own":1.0}"#;
    let modern = r#"{"supportedVersions":["2026-07-28"],"capabilities":{"tools":{}},"own":1.0}"#;
    for (era, raw) in [(Era::Legacy, legacy), (Era::Modern, modern)] {
        let info = ServerInfo::read(era, payload(raw)).unwrap();
        let Some(NodeEvent::Attached(5, read)) =
            NodeEvent::read(&NodeEvent::Attached(5, info.clone()).write())
        else {
            panic!("{raw}")
        };
        assert_eq!((read.era, read.raw.as_str(), read.instructions), (era, raw, info.instructions));
        assert_eq!(
            (read.protocol_version, read.capabilities),
            (info.protocol_version, info.capabilities)
        );
    }
}
