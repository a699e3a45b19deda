//! Server-sent events, written. Events carry no id yet: a stream that broke is opened anew, not resumed.

use bytes::{BufMut, Bytes, BytesMut};

/// One message as an event. A line break within the JSON, where it is white space, becomes a line of data of its own.
pub(crate) fn message(json: &[u8]) -> Bytes {
    let mut out = BytesMut::with_capacity(json.len() + 32);
    out.put_slice(b"event: message\n");
    let mut lines = json.split(|byte| *byte == b'\n' || *byte == b'\r').filter(|line| !line.is_empty()).peekable();
    if lines.peek().is_none() {
        out.put_slice(b"data:\n");
    }
    for line in lines {
        out.put_slice(b"data: ");
        out.put_slice(line);
        out.put_u8(b'\n');
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
        assert_eq!(message(b"{\r\n  \"a\": 1\n}"), "event: message\ndata: {\ndata:   \"a\": 1\ndata: }\n\n");
        assert_eq!(message(b""), "event: message\ndata:\n\n");
    }
}
