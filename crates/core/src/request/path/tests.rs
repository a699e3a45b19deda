//! Paths that every server reads in the same way, and others (threats 39, 60).

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
        assert_eq!(PlainPath::parse(&upper) == Err(BadPath::Unreserved), is_unreserved, "{upper}");
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
