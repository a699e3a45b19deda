//! Server-sent events, written. Legacy clients get them with an id, by which a stream that broke is
//! taken up again.

use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};

/// How long a client is to wait before it comes back.
const RETRY: Duration = Duration::from_secs(1);

/// One message as an event. A line break within the JSON, where it is white space, ends a line of
/// data: the client puts the lines together with line feeds again.
pub(crate) fn message(json: &[u8]) -> Bytes {
    event("event: message\n", json)
}

/// One message as an event that can be told from all others of the session.
pub(crate) fn named(id: &str, json: &[u8]) -> Bytes {
    event(&format!("event: message\nid: {id}\n"), json)
}

/// The first event of a stream, empty: it tells the client how to come back (MCP 2025-11-25,
/// transports, "Sending Messages to the Server").
pub(crate) fn priming(id: &str) -> Bytes {
    format!("id: {id}\nretry: {}\ndata:\n\n", RETRY.as_millis()).into()
}

/// Before a connection is closed although its stream goes on.
pub(crate) fn retry() -> Bytes {
    format!("retry: {}\n\n", RETRY.as_millis()).into()
}

fn event(fields: &str, json: &[u8]) -> Bytes {
    let mut out = BytesMut::with_capacity(fields.len() + json.len() + 16);
    out.put_slice(fields.as_bytes());
    let mut rest = json;
    loop {
        let end = rest.iter().position(|byte| matches!(byte, b'\n' | b'\r')).unwrap_or(rest.len());
        out.put_slice(b"data: ");
        out.put_slice(&rest[..end]);
        out.put_u8(b'\n');
        let line_break = if rest[end..].starts_with(b"\r\n") { 2 } else { 1 };
        match rest.get(end + line_break..) {
            Some(after) if end < rest.len() => rest = after,
            _ => break,
        }
    }
    out.put_u8(b'\n');
    out.freeze()
}

/// A comment that keeps the stream from looking dead.
pub(crate) fn keep_alive() -> Bytes {
    Bytes::from_static(b": keep-alive\n\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_become_events() {
        assert_eq!(message(br#"{"a":1}"#), "event: message\ndata: {\"a\":1}\n\n");
        assert_eq!(
            message(b"{\r\n  \"a\": 1\n}"),
            "event: message\ndata: {\ndata:   \"a\": 1\ndata: }\n\n"
        );
        assert_eq!(message(b"{\n\n}\r"), "event: message\ndata: {\ndata: \ndata: }\ndata: \n\n");
        assert_eq!(message(b""), "event: message\ndata: \n\n");
    }
}
