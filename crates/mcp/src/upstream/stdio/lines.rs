//! Lines of bounded length from a child's output. A line that is too long is skipped, not kept; whose answer it was is found
//! while skipping.

use std::io;

use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// Without its line end.
    Whole(Vec<u8>),
    /// Longer than allowed. `id` is the number under the key `id` of the object that the line was, if it was one.
    TooLong { id: Option<u64> },
}

pub(super) struct Lines<R> {
    reader: BufReader<R>,
    max: usize,
}

impl<R: AsyncRead + Unpin> Lines<R> {
    pub(super) fn new(reader: R, max: usize) -> Self {
        Self { reader: BufReader::with_capacity(16 * 1024, reader), max }
    }

    /// The next line; `None` at the end.
    pub(super) async fn next(&mut self) -> io::Result<Option<Line>> {
        let mut line = Vec::new();
        let mut skipping: Option<IdFinder> = None;
        loop {
            let chunk = self.reader.fill_buf().await?;
            if chunk.is_empty() {
                let nothing = line.is_empty() && skipping.is_none();
                return Ok((!nothing).then(|| finished(line, skipping)));
            }
            let end = chunk.iter().position(|byte| *byte == b'\n');
            let part = &chunk[..end.unwrap_or(chunk.len())];
            if let Some(finder) = &mut skipping {
                finder.feed(part);
            } else if line.len() + part.len() > self.max {
                let mut finder = IdFinder::default();
                finder.feed(&std::mem::take(&mut line));
                finder.feed(part);
                skipping = Some(finder);
            } else {
                line.extend_from_slice(part);
            }
            let used = part.len() + usize::from(end.is_some());
            self.reader.consume(used);
            if end.is_some() {
                return Ok(Some(finished(line, skipping)));
            }
        }
    }
}

fn finished(mut line: Vec<u8>, skipping: Option<IdFinder>) -> Line {
    if let Some(finder) = skipping {
        return Line::TooLong { id: finder.found };
    }
    if line.last() == Some(&b'\r') {
        line.pop();
    }
    Line::Whole(line)
}

/// Finds the number under the key `id` of an outermost object, byte by byte and without keeping anything.
#[derive(Default)]
struct IdFinder {
    depth: usize,
    in_string: bool,
    escaped: bool,
    /// The start of the last string of the outermost object: no more than is needed to know `id`.
    text: Vec<u8>,
    in_value: bool,
    digits: String,
    found: Option<u64>,
}

impl IdFinder {
    fn feed(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            if self.in_string {
                self.string_byte(byte);
            } else {
                self.outside_byte(byte);
            }
        }
    }

    fn string_byte(&mut self, byte: u8) {
        match byte {
            _ if self.escaped => self.escaped = false,
            b'\\' => self.escaped = true,
            b'"' => self.in_string = false,
            _ => {}
        }
        if self.in_string && self.depth == 1 && !self.in_value && self.text.len() < 3 {
            self.text.push(byte);
        }
    }

    fn outside_byte(&mut self, byte: u8) {
        match byte {
            b'"' => {
                self.in_string = true;
                if self.depth == 1 && !self.in_value {
                    self.text.clear();
                }
            }
            b'{' | b'[' => self.depth += 1,
            b'}' | b']' => {
                self.depth = self.depth.saturating_sub(1);
                if self.depth == 0 {
                    self.member_ends();
                }
            }
            b':' if self.depth == 1 => self.in_value = true,
            b',' if self.depth == 1 => self.member_ends(),
            b'0'..=b'9' if self.depth == 1 && self.in_value && self.text == b"id" && self.digits.len() < 20 => {
                self.digits.push(char::from(byte));
            }
            _ => {}
        }
    }

    fn member_ends(&mut self) {
        if self.text == b"id" {
            self.found = self.digits.parse().ok();
        }
        self.digits.clear();
        self.text.clear();
        self.in_value = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn all(text: &str, max: usize) -> Vec<Line> {
        let mut lines = Lines::new(text.as_bytes(), max);
        let mut out = Vec::new();
        while let Some(line) = lines.next().await.unwrap() {
            out.push(line);
        }
        out
    }

    #[tokio::test]
    async fn lines_end_at_newlines_and_at_the_end() {
        let whole = |text: &str| Line::Whole(text.as_bytes().to_vec());
        assert_eq!(all("a\r\n\nb", 10).await, [whole("a"), whole(""), whole("b")]);
        assert_eq!(all("", 10).await, []);
    }

    #[tokio::test]
    async fn a_long_line_is_skipped_and_its_id_found() {
        for (line, id) in [
            (r#"{"jsonrpc":"2.0","id":7,"result":{"id":9,"x":"yyyyyyyy"}}"#, Some(7)),
            (r#"{"result":{"id":9,"x":["id",{"id":4}]},"jsonrpc":"2.0","id": 12}"#, Some(12)),
            (r#"{"result":"\",\"id\":5,","id":8}"#, Some(8)),
            (r#"{"result":{"id":9,"x":"yyyyyyyyyyy"}}"#, None),
            (r#"{"idx":5,"result":"yyyyyyyyyyy"}"#, None),
            (r#"{"id":"text 5","result":"yyyyyyyyyyy"}"#, None),
            (r#"[{"id":5},"yyyyyyyyyyyyyyyyyyyy"]"#, None),
            ("yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy", None),
        ] {
            let lines = all(&format!("{line}\nnext"), 20).await;
            assert_eq!(lines, [Line::TooLong { id }, Line::Whole(b"next".to_vec())], "{line}");
        }
    }
}
