//! What is logged of one value has a bound: most values come from outside, and a path of 60 kB must
//! not be a line of 60 kB (threat 63). The form of the lines is next door, in [`super::line`] and
//! [`super::text`].

use std::fmt::{self, Write};

/// The most bytes of one field's value. Its name and the number of fields are the program's own.
pub(super) const MAX_FIELD: usize = 2048;

/// Passes on the beginning of what is written, and then says how much was left out.
pub(super) struct Cut<W> {
    out: W,
    left: usize,
    dropped: usize,
}

impl<W: Write> Cut<W> {
    pub(super) const fn new(out: W) -> Self {
        Self { out, left: MAX_FIELD, dropped: 0 }
    }

    /// To be called at the end.
    pub(super) fn finish(mut self) -> fmt::Result {
        if self.dropped == 0 {
            Ok(())
        } else {
            write!(self.out, "… ({} bytes more)", self.dropped)
        }
    }
}

impl<W: Write> Write for Cut<W> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        // Once something was left out, all that follows is: a short piece after a long one would
        // seem to be its end.
        let mut fits = if self.dropped > 0 { 0 } else { self.left.min(text.len()) };
        while !text.is_char_boundary(fits) {
            fits -= 1;
        }
        let (kept, rest) = text.split_at(fits);
        self.left -= kept.len();
        self.dropped += rest.len();
        if kept.is_empty() { Ok(()) } else { self.out.write_str(kept) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(pieces: &[&str]) -> String {
        let mut out = String::new();
        let mut cut = Cut::new(&mut out);
        for piece in pieces {
            cut.write_str(piece).unwrap();
        }
        cut.finish().unwrap();
        out
    }

    #[test]
    fn t63_a_value_is_cut_and_says_so() {
        let full = "x".repeat(MAX_FIELD);
        assert_eq!(cut(&["short", " text"]), "short text");
        assert_eq!(cut(&[&full]), full);
        assert_eq!(cut(&[&full, "yz"]), format!("{full}… (2 bytes more)"));
        assert_eq!(
            cut(&[&"x".repeat(60_000), "y"]),
            format!("{full}… ({} bytes more)", 60_001 - MAX_FIELD)
        );
        // No character is cut in the middle, and nothing follows what was left out.
        let odd = format!("{}ä", "x".repeat(MAX_FIELD - 1));
        assert_eq!(cut(&[&odd, "y"]), format!("{}… (3 bytes more)", "x".repeat(MAX_FIELD - 1)));
    }
}
