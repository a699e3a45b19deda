//! The last step of a log line: characters that cannot be seen, or that turn the direction of what
//! follows, are written as their codes (threat 64). What a line looks like otherwise is
//! [`super::line`]'s and tracing-subscriber's affair.

use std::{
    borrow::Cow,
    fmt::Write as _,
    io::{self, Write},
};

use portunus_core::text::{is_invisible, is_line_separator};
use tracing_subscriber::fmt::MakeWriter;

/// A writer of lines that can be seen whole.
#[derive(Clone, Copy, Debug)]
pub(super) struct Visible<M>(pub(super) M);

impl<'a, M: MakeWriter<'a>> MakeWriter<'a> for Visible<M> {
    type Writer = VisibleWriter<M::Writer>;

    fn make_writer(&'a self) -> Self::Writer {
        VisibleWriter(self.0.make_writer())
    }

    fn make_writer_for(&'a self, metadata: &tracing::Metadata<'_>) -> Self::Writer {
        VisibleWriter(self.0.make_writer_for(metadata))
    }
}

/// Takes whole lines, as the log writes them.
#[derive(Debug)]
pub(super) struct VisibleWriter<W>(W);

impl<W: Write> Write for VisibleWriter<W> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        match escaped(line) {
            Cow::Borrowed(_) => self.0.write(line),
            Cow::Owned(escaped) => self.0.write_all(escaped.as_bytes()).map(|()| line.len()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// The escapes are those of JSON, so that a line of JSON means what it meant. ASCII is left alone:
/// the log escapes that itself, and colours its own words with it.
fn escaped(line: &[u8]) -> Cow<'_, str> {
    let hides =
        |c: char| !c.is_ascii() && (c.is_control() || is_invisible(c) || is_line_separator(c));
    let Ok(text) = str::from_utf8(line) else {
        return String::from_utf8_lossy(line).into_owned().into();
    };
    if text.is_ascii() || !text.contains(hides) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if hides(c) {
            for unit in c.encode_utf16(&mut [0; 2]) {
                let _ = write!(out, "\\u{unit:04x}");
            }
        } else {
            out.push(c);
        }
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t64_a_line_of_the_log_shows_everything_that_is_in_it() {
        let hostile = "{\"client_name\":\"Cur\u{200b}sor\u{202e}gpj\u{2028}\u{9b}31m\u{e0041}Z\u{fc}rich\"}\n";
        let mut out = Vec::new();
        VisibleWriter(&mut out).write_all(hostile.as_bytes()).unwrap();
        let line = String::from_utf8(out).unwrap();
        assert_eq!(
            line,
            "{\"client_name\":\"Cur\\u200bsor\\u202egpj\\u2028\\u009b31m\\udb40\\udc41Z\u{fc}rich\"}\n",
            "one line, and nothing hidden"
        );
        let meant: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(
            meant,
            serde_json::from_str::<serde_json::Value>(hostile).unwrap(),
            "it means what it meant"
        );
    }

    #[test]
    fn other_lines_are_written_as_they_are() {
        for line in ["", "plain\n", "\u{1b}[32mINFO\u{1b}[0m Z\u{fc}rich \u{6771}\u{4eac}\n"] {
            assert!(
                matches!(escaped(line.as_bytes()), Cow::Borrowed(same) if same == line),
                "{line:?}"
            );
        }
        assert_eq!(escaped(b"broken \xff\n"), "broken \u{fffd}\n");
    }
}
