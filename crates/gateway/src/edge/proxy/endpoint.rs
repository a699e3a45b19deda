//! The first event of a server on HTTP+SSE (MCP 2024-11-05): `endpoint`, the address that its client posts to. It is a path of the server's own,
//! and below our pattern it is another one (FB51). Everything after it passes untouched.

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use futures::{Stream, StreamExt as _, stream};
use http::{HeaderMap, header};

/// What comes before the first event, comments and all; what is longer has no such event.
const LONGEST: usize = 16 * 1024;

/// Can the answer begin with one? Compressed events cannot be read here.
pub(super) fn may_begin(headers: &HeaderMap) -> bool {
    let value = |name| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    value(header::CONTENT_TYPE).trim_start().to_ascii_lowercase().starts_with("text/event-stream")
        && matches!(value(header::CONTENT_ENCODING), "" | "identity")
}

/// The same events, the address of the first one rewritten. `rewrite` gives `None` for what is to stay as it is.
pub(super) fn rewritten<B>(body: B, rewrite: impl Fn(&str) -> Option<String> + Send + 'static) -> Body
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<axum::BoxError>,
{
    let chunks = Body::new(body).into_data_stream();
    let first = stream::once(async move {
        let (mut chunks, mut held) = (chunks, BytesMut::new());
        let broken = hold_first(&mut chunks, &mut held).await;
        let first = with_endpoint(&held, &rewrite).unwrap_or_else(|| held.freeze());
        // What came before the error is worth something, too.
        stream::iter([Ok(first)].into_iter().chain(broken.map(Err))).chain(chunks)
    });
    Body::from_stream(first.flatten())
}

/// Reads to the end of the first event that is more than comments, or as far as there is any sense in it.
async fn hold_first<E>(chunks: &mut (impl Stream<Item = Result<Bytes, E>> + Unpin), held: &mut BytesMut) -> Option<E> {
    while first_event(held).is_none() && held.len() <= LONGEST {
        match chunks.next().await? {
            Ok(chunk) => held.extend_from_slice(&chunk),
            Err(error) => return Some(error),
        }
    }
    None
}

/// Where the first event stands that has a field.
fn first_event(text: &[u8]) -> Option<(usize, usize)> {
    let mut begin = 0;
    loop {
        let rest = text.get(begin..)?;
        let length = ["\n\n", "\r\n\r\n", "\r\r"].iter().filter_map(|end| end_of(rest, end.as_bytes())).min()?;
        let event = rest.get(..length)?;
        let is_comment = lines(event).all(|(_, line)| line.is_empty() || line.starts_with(b":"));
        if !is_comment {
            return Some((begin, begin + length));
        }
        begin += length;
    }
}

fn end_of(text: &[u8], end: &[u8]) -> Option<usize> {
    text.windows(end.len()).position(|part| part == end).map(|at| at + end.len())
}

/// Each line with its place, its end left out.
fn lines(text: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let mut at = 0;
    text.split_inclusive(|byte| matches!(byte, b'\n' | b'\r')).map(move |line| {
        let start = at;
        at += line.len();
        (start, line.strip_suffix(b"\n").or_else(|| line.strip_suffix(b"\r")).unwrap_or(line))
    })
}

/// The text with another address in its first event; `None`: that is no `endpoint`, or stays.
fn with_endpoint(text: &[u8], rewrite: &impl Fn(&str) -> Option<String>) -> Option<Bytes> {
    let (begin, end) = first_event(text)?;
    let event = text.get(begin..end)?;
    let mut is_endpoint = false;
    let mut address = None;
    for (start, line) in lines(event) {
        let line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line);
        match line.iter().position(|byte| *byte == b':').map(|colon| (&line[..colon], &line[colon + 1..])) {
            Some((b"event", value)) => is_endpoint = value.trim_ascii() == b"endpoint",
            Some((b"data", value)) => {
                let value_at = start + line.len() - value.len();
                // One that goes over several lines is no address.
                let is_first = address.replace((value_at, value)).is_none();
                is_first.then_some(())?;
            }
            _ => {}
        }
    }
    let (at, value) = address.filter(|_| is_endpoint)?;
    let new = rewrite(std::str::from_utf8(value.trim_ascii()).ok()?)?;
    let mut out = BytesMut::with_capacity(text.len() + new.len() + 1);
    out.extend_from_slice(&text[..begin + at]);
    out.extend_from_slice(b" ");
    out.extend_from_slice(new.as_bytes());
    out.extend_from_slice(&text[begin + at + value.len()..]);
    Some(out.freeze())
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use http_body_util::{BodyExt as _, StreamBody};

    use super::*;

    fn below(address: &str) -> Option<String> {
        address.starts_with("/messages").then(|| format!("/mcp/legacy{address}"))
    }

    /// In pieces of this size.
    async fn through(text: &str, size: usize) -> String {
        let chunks: Vec<_> = text
            .as_bytes()
            .chunks(size)
            .map(|chunk| Ok::<_, Infallible>(http_body::Frame::data(Bytes::copy_from_slice(chunk))))
            .collect();
        let body = rewritten(StreamBody::new(stream::iter(chunks)), below);
        String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap()
    }

    #[tokio::test]
    async fn fb51_the_address_of_the_first_event_comes_below_the_pattern_and_nothing_else_changes() {
        let endpoint = "event: endpoint\ndata: /messages?session=1\n\n";
        let rest = "event: message\ndata: {\"a\":\"/messages\"}\n\n: ping\n\n";
        let long = format!("data: {}\n\n{endpoint}", "x".repeat(LONGEST));
        let cases = [
            (format!("{endpoint}{rest}"), format!("event: endpoint\ndata: /mcp/legacy/messages?session=1\n\n{rest}")),
            (
                format!(": ping\n\n:\n\n{endpoint}"),
                ": ping\n\n:\n\nevent: endpoint\ndata: /mcp/legacy/messages?session=1\n\n".to_owned(),
            ),
            (
                "data:/messages/\r\nevent:endpoint\r\n\r\nx".to_owned(),
                "data: /mcp/legacy/messages/\r\nevent:endpoint\r\n\r\nx".to_owned(),
            ),
            ("event: endpoint\rdata: /messages\r\r".to_owned(), "event: endpoint\rdata: /mcp/legacy/messages\r\r".to_owned()),
            // Not these.
            ("event: endpoint\ndata: https://other.example/m\n\n".to_owned(), String::new()),
            ("event: message\ndata: /messages\n\n".to_owned(), String::new()),
            (format!("{rest}{endpoint}"), String::new()),
            ("event: endpoint\ndata: /messages\ndata: /messages\n\n".to_owned(), String::new()),
            ("event: endpoint\ndata: /messages".to_owned(), String::new()),
            (long, String::new()),
            (String::new(), String::new()),
        ];
        for (sent, expected) in cases {
            let expected = if expected.is_empty() { &sent } else { &expected };
            for size in [1, 7, 100_000] {
                assert_eq!(through(&sent, size).await, *expected, "in pieces of {size}");
            }
        }
    }

    #[tokio::test]
    async fn fb51_what_breaks_off_is_told() {
        let chunks = [Ok(http_body::Frame::data(Bytes::from_static(b"event: end"))), Err("broken")];
        let mut chunks = rewritten(StreamBody::new(stream::iter(chunks)), below).into_data_stream();
        assert_eq!(chunks.next().await.unwrap().unwrap(), "event: end");
        assert!(chunks.next().await.unwrap().is_err());
    }
}
