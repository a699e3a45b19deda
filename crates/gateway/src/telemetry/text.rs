//! Fields in lines for people: as tracing-subscriber writes them, each value within its bound and
//! on one line. The lines for machines are in [`super::line`].

use std::fmt::{self, Write};

use tracing_subscriber::{
    field::MakeExt as _,
    fmt::{
        FormatFields,
        format::{self, Writer},
    },
};

use super::cut::Cut;

/// How fields of events and spans are written.
pub(super) fn fields() -> impl for<'writer> FormatFields<'writer> + 'static {
    let field = format::debug_fn(|writer: &mut Writer<'_>, field, value| {
        if field.name() != "message" {
            write!(writer, "{}=", field.name())?;
        }
        let mut cut = Cut::new(OneLine(writer));
        write!(cut, "{value:?}")?;
        cut.finish()
    });
    field.delimited(" ")
}

/// Control characters are spelt out: no value ends its line or steers the terminal.
struct OneLine<'a, 'w>(&'a mut Writer<'w>);

impl Write for OneLine<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for piece in text.split_inclusive(char::is_control) {
            match piece.char_indices().next_back().filter(|(_, last)| last.is_control()) {
                Some((at, control)) => {
                    write!(self.0, "{}{}", &piece[..at], control.escape_default())?;
                }
                None => self.0.write_str(piece)?,
            }
        }
        Ok(())
    }
}
