//! Headers of a forwarded request as they were sent, and otherwise (threat 69).

use http::HeaderValue;

use super::*;

fn headers(list: &[(&str, &'static str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in list {
        headers.append(HeaderName::try_from(*name).unwrap(), HeaderValue::from_static(value));
    }
    headers
}

#[test]
fn t69_headers_are_taken_as_they_were_sent_or_not_at_all() {
    let sent =
        [("mcp-session-id", "s1"), ("accept", "text/event-stream"), ("mcp-x", "1"), ("mcp-x", "2")];
    let bound = BoundHeaders::of(&headers(&sent));
    let cases: [(&[(&str, &'static str)], bool); 10] = [
        (
            &[
                ("mcp-session-id", "s1"),
                ("accept", "text/event-stream"),
                ("mcp-x", "1"),
                ("mcp-x", "2"),
            ],
            true,
        ),
        (
            &[
                ("MCP-Session-Id", "s1"),
                ("mcp-x", "1"),
                ("Accept", "text/event-stream"),
                ("mcp-x", "2"),
            ],
            true,
        ),
        // What the sender did not name may be there. It is not taken.
        (
            &[
                ("mcp-session-id", "s1"),
                ("accept", "text/event-stream"),
                ("mcp-x", "1"),
                ("mcp-x", "2"),
                ("mcp-method", "x"),
            ],
            true,
        ),
        (
            &[
                ("mcp-session-id", "s2"),
                ("accept", "text/event-stream"),
                ("mcp-x", "1"),
                ("mcp-x", "2"),
            ],
            false,
        ),
        (
            &[
                ("mcp-session-id", "s1"),
                ("accept", "text/event-stream"),
                ("mcp-x", "2"),
                ("mcp-x", "1"),
            ],
            false,
        ),
        (&[("mcp-session-id", "s1"), ("accept", "text/event-stream"), ("mcp-x", "12")], false),
        (&[("mcp-session-id", "s1"), ("accept", "text/event-stream"), ("mcp-x", "1, 2")], false),
        (&[("mcp-session-id", "s1"), ("accept", "text/event-stream"), ("mcp-x", "1")], false),
        (
            &[
                ("mcp-session-id", "s1"),
                ("mcp-session-id", "s1"),
                ("accept", "text/event-stream"),
                ("mcp-x", "1"),
                ("mcp-x", "2"),
            ],
            false,
        ),
        (&[("accept", "text/event-stream"), ("mcp-x", "1"), ("mcp-x", "2")], false),
    ];
    for (received, is_taken) in cases {
        let taken = bound.take_from(&headers(received));
        assert_eq!(taken, is_taken.then(|| headers(&sent)), "{received:?}");
    }
}

#[test]
fn t69_without_headers_none_is_taken() {
    let bound = BoundHeaders::of(&HeaderMap::new());
    assert_eq!(
        bound.take_from(&headers(&[("mcp-session-id", "s1"), ("accept", "*/*")])),
        Some(HeaderMap::new())
    );
}
