//! One event as one line of JSON. tracing-subscriber's own form of the same line reads the span's
//! fields anew for each event, and writes every value by way of a serializer: that was a tenth of
//! what a call cost. What the lines mean is in `docs/LOGGING.md`.

use std::{
    fmt::{self, Write as _},
    time::SystemTime,
};

use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
    span::Record,
};
use tracing_subscriber::{
    field::RecordFields,
    fmt::{FmtContext, FormatEvent, FormatFields, FormattedFields, format::Writer},
    registry::LookupSpan,
};

use super::cut::Cut;

/// `{"timestamp":…,"level":…,` the event's fields `,"target":…,"span":{` the innermost span's
/// fields `,"name":…}}`.
pub(super) struct JsonLine;

/// The fields of a span, as members of an object that [`JsonLine`] writes: each with a comma before
/// it.
pub(super) struct SpanMembers;

impl<'writer> FormatFields<'writer> for SpanMembers {
    fn format_fields<R: RecordFields>(&self, writer: Writer<'writer>, fields: R) -> fmt::Result {
        let mut members = Members { out: writer, written: Ok(()) };
        fields.record(&mut members);
        members.written
    }

    fn add_fields(
        &self,
        current: &'writer mut FormattedFields<Self>,
        fields: &Record<'_>,
    ) -> fmt::Result {
        self.format_fields(current.as_writer(), fields)
    }
}

impl<S> FormatEvent<S, SpanMembers> for JsonLine
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, SpanMembers>,
        mut out: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        out.write_str("{\"timestamp\":\"")?;
        #[expect(clippy::disallowed_methods, reason = "a line has the time of its writing")]
        let now = SystemTime::now();
        write!(out, "{}", humantime::format_rfc3339_micros(now))?;
        out.write_str("\",\"level\":\"")?;
        out.write_str(event.metadata().level().as_str())?;
        out.write_char('"')?;
        let mut members = Members { out: out.by_ref(), written: Ok(()) };
        event.record(&mut members);
        members.written?;
        out.write_str(",\"target\":")?;
        quoted(&mut out, event.metadata().target())?;
        let span =
            event.parent().and_then(|id| context.span(id)).or_else(|| context.lookup_current());
        if let Some(span) = span {
            out.write_str(",\"span\":{")?;
            let extensions = span.extensions();
            let fields = extensions
                .get::<FormattedFields<SpanMembers>>()
                .map_or("", |fields| fields.fields.as_str());
            if let Some(fields) = fields.strip_prefix(',') {
                out.write_str(fields)?;
                out.write_char(',')?;
            }
            out.write_str("\"name\":")?;
            quoted(&mut out, span.metadata().name())?;
            out.write_char('}')?;
        }
        out.write_str("}\n")
    }
}

/// Writes each field as one more member.
struct Members<'a> {
    out: Writer<'a>,
    written: fmt::Result,
}

impl Members<'_> {
    fn member(&mut self, field: &Field, value: impl FnOnce(&mut Writer<'_>) -> fmt::Result) {
        if self.written.is_ok() {
            self.written = self.name(field).and_then(|()| value(&mut self.out));
        }
    }

    fn name(&mut self, field: &Field) -> fmt::Result {
        self.out.write_str(",\"")?;
        Escaped(&mut self.out).write_str(field.name())?;
        self.out.write_str("\":")
    }
}

impl Visit for Members<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.member(field, |out| {
            out.write_char('"')?;
            let mut cut = Cut::new(Escaped(out));
            write!(cut, "{value:?}")?;
            cut.finish()?;
            out.write_char('"')
        });
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.member(field, |out| quoted_within(out, value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.member(field, |out| write!(out, "{value}"));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.member(field, |out| write!(out, "{value}"));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.member(field, |out| write!(out, "{value}"));
    }

    /// JSON has no infinity and no "not a number".
    fn record_f64(&mut self, field: &Field, value: f64) {
        let number = serde_json::Number::from_f64(value);
        self.member(field, |out| match number {
            Some(number) => write!(out, "{number}"),
            None => out.write_str("null"),
        });
    }
}

/// What comes from outside.
fn quoted_within(out: &mut Writer<'_>, text: &str) -> fmt::Result {
    out.write_char('"')?;
    let mut cut = Cut::new(Escaped(out));
    cut.write_str(text)?;
    cut.finish()?;
    out.write_char('"')
}

fn quoted(out: &mut Writer<'_>, text: &str) -> fmt::Result {
    out.write_char('"')?;
    Escaped(out).write_str(text)?;
    out.write_char('"')
}

const fn is_special(byte: u8) -> bool {
    matches!(byte, 0..0x20 | b'"' | b'\\')
}

/// The inside of a JSON string: what is logged can neither end its string nor its line.
struct Escaped<'a, 'w>(&'a mut Writer<'w>);

impl fmt::Write for Escaped<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        // One pass without a branch for each byte: almost no text has anything to escape.
        if !text.bytes().fold(false, |found, byte| found | is_special(byte)) {
            return self.0.write_str(text);
        }
        let mut rest = text;
        while let Some(at) = rest.bytes().position(is_special) {
            let (plain, special) = (&rest[..at], rest.as_bytes()[at]);
            self.0.write_str(plain)?;
            match special {
                b'"' => self.0.write_str("\\\"")?,
                b'\\' => self.0.write_str("\\\\")?,
                b'\n' => self.0.write_str("\\n")?,
                b'\r' => self.0.write_str("\\r")?,
                b'\t' => self.0.write_str("\\t")?,
                0x08 => self.0.write_str("\\b")?,
                0x0C => self.0.write_str("\\f")?,
                other => write!(self.0, "\\u{other:04x}")?,
            }
            rest = &rest[at + 1..];
        }
        self.0.write_str(rest)
    }
}

#[cfg(test)]
mod tests;
