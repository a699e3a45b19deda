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
mod tests {
    use super::*;

    fn check(cases: &[(&str, Option<BadPath>)]) {
        for (path, expected) in cases {
            assert_eq!(PlainPath::parse(path).err(), *expected, "{path:?}");
        }
    }

    #[test]
    fn t39_paths_that_servers_could_read_differently_are_refused() {
        check(&[
            ("/", None),
            ("/mcp/dice/", None),
            ("/mcp/dice/mcp", None),
            ("/mcp/dice/a.b/...x/..y", None),
            ("/mcp/dice/%20%C3%A9%3Aok", None),
            ("/mcp/dice/a@b:c,d=e+f!$&'()*~", None),
            ("/mcp/dice/../admin", Some(BadPath::DotSegment)),
            ("/mcp/dice/..", Some(BadPath::DotSegment)),
            ("/mcp/dice/./x", Some(BadPath::DotSegment)),
            ("/mcp/dice/.", Some(BadPath::DotSegment)),
            ("/mcp/dice//x", Some(BadPath::EmptySegment)),
            ("/mcp/dice//", Some(BadPath::EmptySegment)),
            ("//evil.example/x", Some(BadPath::EmptySegment)),
            ("//", Some(BadPath::EmptySegment)),
            ("/mcp/dice/..%2fadmin", Some(BadPath::Encoded)),
            ("/mcp/dice/a%2Fb", Some(BadPath::Encoded)),
            ("/mcp/dice/a%5cb", Some(BadPath::Encoded)),
            ("/mcp/dice/%252e%252e/", Some(BadPath::Encoded)),
            ("/mcp/dice/%25252e", Some(BadPath::Encoded)),
            ("/mcp/dice/%3bx", Some(BadPath::Encoded)),
            ("/mcp/dice/%00", Some(BadPath::Encoded)),
            ("/mcp/dice/%0d%0aX:y", Some(BadPath::Encoded)),
            ("/mcp/dice/%7F", Some(BadPath::Encoded)),
            ("/mcp/dice/a;b=c", Some(BadPath::Character)),
            ("/mcp/dice/..;/admin", Some(BadPath::Character)),
            ("/mcp/dice/a\\b", Some(BadPath::Character)),
            ("/mcp/dice/a\0b", Some(BadPath::Character)),
            ("/mcp/dice/é", Some(BadPath::Character)),
            ("/mcp/dice/a b", Some(BadPath::Character)),
            ("/mcp/dice/a\tb", Some(BadPath::Character)),
            ("/mcp/dice/%", Some(BadPath::Encoding)),
            ("/mcp/dice/%2", Some(BadPath::Encoding)),
            ("/mcp/dice/%zz", Some(BadPath::Encoding)),
            ("/mcp/dice/%+1", Some(BadPath::Encoding)),
            ("/mcp/dice/%u002e", Some(BadPath::Encoding)),
            ("", Some(BadPath::NotAPath)),
            ("*", Some(BadPath::NotAPath)),
            ("mcp", Some(BadPath::NotAPath)),
        ]);
    }

    #[test]
    fn t60_a_character_that_needs_no_encoding_has_none() {
        check(&[
            ("/mcp/%61dmin/x", Some(BadPath::Unreserved)),
            ("/mcp/a%64min/x", Some(BadPath::Unreserved)),
            ("/mcp/%41dmin", Some(BadPath::Unreserved)),
            ("/mcp/v%31/x", Some(BadPath::Unreserved)),
            ("/mcp/a%2Db", Some(BadPath::Unreserved)),
            ("/mcp/a%2db", Some(BadPath::Unreserved)),
            ("/mcp/a%5Fb", Some(BadPath::Unreserved)),
            ("/mcp/a%5fb", Some(BadPath::Unreserved)),
            ("/mcp/a%7Eb", Some(BadPath::Unreserved)),
            ("/mcp/a%7eb", Some(BadPath::Unreserved)),
            ("/mcp/a%2Eb", Some(BadPath::Unreserved)),
            ("/mcp/%2e%2e/admin", Some(BadPath::Unreserved)),
            ("/mcp/%2E./admin", Some(BadPath::Unreserved)),
            ("/%6d%63%70/dice", Some(BadPath::Unreserved)),
            ("/auth/%74oken", Some(BadPath::Unreserved)),
            ("/%2ewell-known/x", Some(BadPath::Unreserved)),
            // Encoded twice, thrice.
            ("/mcp/%2561dmin", Some(BadPath::Encoded)),
            ("/mcp/%25%36%31dmin", Some(BadPath::Encoded)),
            // Every letter, digit and mark of the set; each next to it may be encoded.
            ("/mcp/%40%5B%60%7B%3A", None),
            ("/mcp/%C3%a9%c3%A9", None),
        ]);
        for byte in 0..=0x7F_u8 {
            let (upper, lower) = (format!("/x/%{byte:02X}"), format!("/x/%{byte:02x}"));
            let is_unreserved = byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
            assert_eq!(
                PlainPath::parse(&upper) == Err(BadPath::Unreserved),
                is_unreserved,
                "{upper}"
            );
            assert_eq!(PlainPath::parse(&upper).err(), PlainPath::parse(&lower).err(), "{lower}");
        }
    }

    #[test]
    fn t60_encoded_bytes_are_utf8() {
        check(&[
            // Overlong forms of dot, slash and `a`.
            ("/mcp/%c0%ae%c0%ae/admin", Some(BadPath::Encoding)),
            ("/mcp/%C0%AF", Some(BadPath::Encoding)),
            ("/mcp/%e0%80%af", Some(BadPath::Encoding)),
            ("/mcp/%c1%a1dmin", Some(BadPath::Encoding)),
            ("/mcp/%f0%80%80%af", Some(BadPath::Encoding)),
            // Half a character, a surrogate.
            ("/mcp/%C3", Some(BadPath::Encoding)),
            ("/mcp/%C3x%A9", Some(BadPath::Encoding)),
            ("/mcp/%C3/%A9", Some(BadPath::Encoding)),
            ("/mcp/%ED%A0%80", Some(BadPath::Encoding)),
            ("/mcp/%FF", Some(BadPath::Encoding)),
            ("/mcp/%E2%82%AC/%F0%9F%8E%B2", None),
        ]);
    }
}
