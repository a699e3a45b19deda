//! Paths that every server reads in the same way (threats 39 and 60). What is matched, authorised
//! and forwarded is then one spelling, byte for byte. A path with a second reading is refused, not
//! rewritten: a rewritten one would no longer be what the client sent.

use thiserror::Error;

/// Why a path is refused: always 400.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum BadPath {
    #[error("the path does not start with a slash")]
    NotAPath,
    #[error("the path has a dot segment")]
    DotSegment,
    #[error("the path has an empty segment")]
    EmptySegment,
    #[error("the path has a character that servers read differently")]
    Character,
    #[error("the path has an encoded separator, percent sign or control character")]
    Encoded,
    #[error("the path encodes a character that needs no encoding")]
    Unreserved,
    #[error("the path has a bad percent-encoding, or one of bytes that are not UTF-8")]
    Encoding,
}

/// A path with one reading (RFC 3986 section 6.2.2): normalisation would change nothing in it that
/// any server takes notice of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlainPath<'a>(&'a str);

impl<'a> PlainPath<'a> {
    /// Refused are `.` and `..` segments, empty segments, `;` (path parameters), `\`, anything but
    /// visible ASCII, and these when they are percent-encoded: letters, digits, `-`, `.`, `_`, `~`
    /// (section 6.2.2.2), separators, `;`, the percent sign (double encoding), control characters,
    /// and bytes that are not UTF-8 (overlong forms).
    pub fn parse(path: &'a str) -> Result<Self, BadPath> {
        let mut bytes = path.bytes();
        let mut encoded = Vec::new();
        while let Some(byte) = bytes.next() {
            if byte == b'%' {
                let digits = (bytes.next().and_then(hex), bytes.next().and_then(hex));
                let (Some(high), Some(low)) = digits else { return Err(BadPath::Encoding) };
                encoded.push(may_be_encoded(high << 4 | low)?);
                continue;
            }
            if !is_utf8(&mut encoded) {
                return Err(BadPath::Encoding);
            }
            match byte {
                b';' | b'\\' | b'#' | b'?' => return Err(BadPath::Character),
                b'!'..=b'~' => {}
                _ => return Err(BadPath::Character),
            }
        }
        if !is_utf8(&mut encoded) {
            return Err(BadPath::Encoding);
        }
        let mut segments = path.strip_prefix('/').ok_or(BadPath::NotAPath)?.split('/').peekable();
        while let Some(segment) = segments.next() {
            match segment {
                "." | ".." => return Err(BadPath::DotSegment),
                "" if segments.peek().is_some() => return Err(BadPath::EmptySegment),
                _ => {}
            }
        }
        Ok(Self(path))
    }

    pub const fn as_str(self) -> &'a str {
        self.0
    }
}

/// The byte, if it has no other spelling that servers take for the same path.
fn may_be_encoded(byte: u8) -> Result<u8, BadPath> {
    match byte {
        0..=0x1F | 0x7F | b'/' | b'\\' | b';' | b'%' => Err(BadPath::Encoded),
        b'-' | b'.' | b'_' | b'~' => Err(BadPath::Unreserved),
        _ if byte.is_ascii_alphanumeric() => Err(BadPath::Unreserved),
        _ => Ok(byte),
    }
}

/// Encoded bytes in a row, which must be whole characters by themselves.
fn is_utf8(encoded: &mut Vec<u8>) -> bool {
    let is_utf8 = encoded.is_empty() || str::from_utf8(encoded).is_ok();
    encoded.clear();
    is_utf8
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests;
