//! Reads lines of bounded length from a child's output. A line that is too long is skipped, and the
//! id of the answer in it found meanwhile. What becomes of lines is next door, in [`super`].

use std::io;

use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};

use super::super::id_finder::IdFinder;

#[derive(Debug, PartialEq, Eq)]
pub enum Line {
    /// Without its line end.
    Whole(Vec<u8>),
    /// Longer than allowed. `id` is the number under the key `id`, if the line is an object that
    /// has one.
    TooLong { id: Option<u64> },
}

pub struct Lines<R> {
    reader: BufReader<R>,
    max: usize,
}

impl<R: AsyncRead + Unpin> Lines<R> {
    pub fn new(reader: R, max: usize) -> Self {
        Self { reader: BufReader::with_capacity(16 * 1024, reader), max }
    }

    /// The next line; `None` at the end.
    pub async fn next(&mut self) -> io::Result<Option<Line>> {
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
        return Line::TooLong { id: finder.found() };
    }
    if line.last() == Some(&b'\r') {
        line.pop();
    }
    Line::Whole(line)
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
            (r#"{"id":"5","result":"yyyyyyyyyyyyyyy"}"#, Some(5)),
            (r#"{"id": 5.0 ,"result":"yyyyyyyyyyyyyyy"}"#, Some(5)),
            (r#"{"id":5.5,"result":"yyyyyyyyyyyyyyy"}"#, None),
            (r#"[{"id":5},"yyyyyyyyyyyyyyyyyyyy"]"#, None),
            ("yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy", None),
        ] {
            let lines = all(&format!("{line}\nnext"), 20).await;
            assert_eq!(lines, [Line::TooLong { id }, Line::Whole(b"next".to_vec())], "{line}");
        }
    }
}
