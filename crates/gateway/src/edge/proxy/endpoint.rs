//! The first event of a server on HTTP+SSE (MCP 2024-11-05): `endpoint`, the address that its
//! client posts to. It is a path of the server's own, and below our pattern it is another one
//! (FB51). Everything after it passes untouched.

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use futures::{StreamExt as _, stream};
use http::{HeaderMap, header};

/// The longest first event that is looked at: it says an address, and little else.
const LONGEST: usize = 4 * 1024;
const BOM: &[u8] = b"\xef\xbb\xbf";

/// Can the answer begin with one? Compressed events cannot be read here.
pub(super) fn may_begin(headers: &HeaderMap) -> bool {
    let value = |name| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    value(header::CONTENT_TYPE).trim_start().to_ascii_lowercase().starts_with("text/event-stream")
        && matches!(value(header::CONTENT_ENCODING), "" | "identity")
}

/// The same events, the address of the first one rewritten. `rewrite` gives `None` for what is to
/// stay as it is. Comments before it pass when they come: they keep connections open.
pub(super) fn rewritten<B>(
    body: B,
    rewrite: impl Fn(&str) -> Option<String> + Send + 'static,
) -> Body
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<axum::BoxError>,
{
    let chunks = Body::new(body).into_data_stream();
    let begun = (chunks, Some(BytesMut::new()), rewrite);
    Body::from_stream(stream::unfold(begun, |(mut chunks, mut held, rewrite)| async move {
        loop {
            let Some(buffer) = &mut held else {
                return chunks.next().await.map(|chunk| (chunk, (chunks, held, rewrite)));
            };
            match chunks.next().await {
                Some(Ok(chunk)) => {
                    buffer.extend_from_slice(&chunk);
                    let (ready, is_over) = pass_on(buffer, &rewrite);
                    if is_over {
                        held = None;
                    }
                    if !ready.is_empty() {
                        return Some((Ok(ready), (chunks, held, rewrite)));
                    }
                }
                // What was held comes first; why nothing follows is told after it.
                ended => {
                    let rest = held.take().unwrap_or_default().freeze();
                    if rest.is_empty() {
                        return ended.map(|error| (error, (chunks, held, rewrite)));
                    }
                    let after = stream::iter(ended).chain(chunks);
                    let after = Body::from_stream(after).into_data_stream();
                    return Some((Ok(rest), (after, held, rewrite)));
                }
            }
        }
    }))
}

/// What of `held` can go on, and whether that is all there is to do: whole lines of comments, then
/// the first event with its address.
fn pass_on(held: &mut BytesMut, rewrite: &impl Fn(&str) -> Option<String>) -> (Bytes, bool) {
    let mut at = if held.starts_with(BOM) { BOM.len() } else { 0 };
    loop {
        let rest = &held[at..];
        match rest.first() {
            // Comments, and the lines between them. A return at the end may be half of one.
            Some(b':' | b'\r' | b'\n') => match line_end(rest) {
                Some(length) => at += length,
                None => return (held.split_to(at).freeze(), false),
            },
            Some(_) => break,
            None => return (held.split_to(at).freeze(), false),
        }
    }
    let before = held.split_to(at);
    if let Some(length) = event_end(held) {
        let event = held.split_to(length);
        let event = with_endpoint(&event, rewrite).unwrap_or_else(|| event.freeze());
        return ([&before[..], &event, &held.split()].concat().into(), true);
    }
    if held.len() > LONGEST {
        return ([&before[..], &held.split()].concat().into(), true);
    }
    (before.freeze(), false)
}

/// The length of the first line with its end; `None` while that is not there.
fn line_end(text: &[u8]) -> Option<usize> {
    let at = text.iter().position(|byte| matches!(byte, b'\n' | b'\r'))?;
    match (text[at], text.get(at + 1)) {
        (b'\n', _) => Some(at + 1),
        (_, Some(b'\n')) => Some(at + 2),
        (_, Some(_)) => Some(at + 1),
        (_, None) => None,
    }
}

/// The length of the first event with the empty line that ends it.
fn event_end(text: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        let length = match line_end(&text[at..]) {
            Some(length) => length,
            // The last return of an event that ends in one: what may follow belongs to the next
            // line.
            None if text[at..] == *b"\r" && at > 0 => return Some(text.len()),
            None => return None,
        };
        let is_empty = matches!(text.get(at), Some(b'\n' | b'\r'));
        at += length;
        if is_empty {
            return Some(at);
        }
    }
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

/// The event with another address; `None`: it is no `endpoint`, or stays.
fn with_endpoint(event: &[u8], rewrite: &impl Fn(&str) -> Option<String>) -> Option<Bytes> {
    let mut is_endpoint = false;
    let mut address = None;
    for (start, line) in lines(event) {
        match line
            .iter()
            .position(|byte| *byte == b':')
            .map(|colon| (&line[..colon], &line[colon + 1..]))
        {
            Some((b"event", value)) => is_endpoint = value.trim_ascii() == b"endpoint",
            Some((b"data", value)) => {
                let at = start + line.len() - value.len();
                // One that goes over several lines is no address.
                let is_first = address.replace((at, value)).is_none();
                is_first.then_some(())?;
            }
            _ => {}
        }
    }
    let (at, value) = address.filter(|_| is_endpoint)?;
    let new = rewrite(std::str::from_utf8(value.trim_ascii()).ok()?)?;
    Some([&event[..at], b" ", new.as_bytes(), &event[at + value.len()..]].concat().into())
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
    async fn fb51_the_address_of_the_first_event_comes_below_the_pattern_and_nothing_else_changes()
    {
        let endpoint = "event: endpoint\ndata: /messages?session=1\n\n";
        let rest = "event: message\ndata: {\"a\":\"/messages\"}\n\n: ping\n\n";
        let long = format!("data: {}\n\n{endpoint}", "x".repeat(LONGEST));
        let cases = [
            (
                format!("{endpoint}{rest}"),
                format!("event: endpoint\ndata: /mcp/legacy/messages?session=1\n\n{rest}"),
            ),
            (
                format!(": ping\n\n:\n\n{endpoint}"),
                ": ping\n\n:\n\nevent: endpoint\ndata: /mcp/legacy/messages?session=1\n\n"
                    .to_owned(),
            ),
            (
                "data:/messages/\r\nevent:endpoint\r\n\r\nx".to_owned(),
                "data: /mcp/legacy/messages/\r\nevent:endpoint\r\n\r\nx".to_owned(),
            ),
            (
                "event: endpoint\rdata: /messages\r\r".to_owned(),
                "event: endpoint\rdata: /mcp/legacy/messages\r\r".to_owned(),
            ),
            (
                "\u{feff}data: /messages\nevent: endpoint\n\n".to_owned(),
                "\u{feff}data: /mcp/legacy/messages\nevent: endpoint\n\n".to_owned(),
            ),
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
    async fn fb51_comments_pass_when_they_come() {
        let chunks = [
            ": ping 1\n\n",
            ": ping 2\n\n: pi",
            "ng 3\n\nevent: en",
            "dpoint\ndata: /messages\n\n",
        ];
        let chunks = chunks.map(|chunk| {
            Ok::<_, Infallible>(http_body::Frame::data(Bytes::from_static(chunk.as_bytes())))
        });
        let body = StreamBody::new(stream::iter(chunks).chain(stream::pending()));
        let mut passed = rewritten(body, below).into_data_stream();
        for expected in [
            ": ping 1\n\n",
            ": ping 2\n\n",
            ": ping 3\n\n",
            "event: endpoint\ndata: /mcp/legacy/messages\n\n",
        ] {
            assert_eq!(passed.next().await.unwrap().unwrap(), expected);
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
