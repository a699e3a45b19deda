//! Which host a request names, as a table (threat 65).

use super::*;

/// Scheme and authority of the target, the `Host` headers, and what comes of them.
type Case = (
    (Option<&'static str>, Option<&'static str>),
    &'static [&'static str],
    Result<Option<&'static str>, BadHost>,
);

#[test]
fn t65_target_and_host_must_agree() {
    let https = (Some("https"), Some("gw.example"));
    let cases: [Case; 34] = [
        ((None, None), &["gw.example"], Ok(Some("gw.example"))),
        ((None, None), &[], Ok(None)),
        (https, &[], Ok(Some("gw.example"))),
        (https, &["gw.example"], Ok(Some("gw.example"))),
        (https, &["GW.Example"], Ok(Some("gw.example"))),
        (https, &["gw.example:443"], Ok(Some("gw.example"))),
        (https, &["gw.example:"], Ok(Some("gw.example"))),
        ((Some("HTTPS"), Some("gw.example:443")), &["gw.example"], Ok(Some("gw.example"))),
        ((Some("http"), Some("gw.example:80")), &["gw.example"], Ok(Some("gw.example"))),
        ((Some("https"), Some("[::1]:443")), &["[0:0:0:0:0:0:0:1]"], Ok(Some("[::1]"))),
        // What names two hosts.
        (https, &["evil.example"], Err(BadHost::Differs)),
        ((Some("https"), Some("evil.example")), &["gw.example"], Err(BadHost::Differs)),
        (https, &["gw.example:80"], Err(BadHost::Differs)),
        (https, &["gw.example:8443"], Err(BadHost::Differs)),
        (https, &["gw.example."], Err(BadHost::Differs)),
        (https, &["www.gw.example"], Err(BadHost::Differs)),
        ((Some("http"), Some("gw.example:443")), &["gw.example"], Err(BadHost::Differs)),
        ((None, Some("gw.example")), &["evil.example"], Err(BadHost::Differs)),
        // More than one, though they be equal.
        (https, &["gw.example", "gw.example"], Err(BadHost::Several)),
        ((None, None), &["gw.example", "gw.example"], Err(BadHost::Several)),
        ((None, None), &["gw.example", ""], Err(BadHost::Several)),
        // What is no host.
        (https, &[""], Err(BadHost::Invalid)),
        ((None, None), &[""], Err(BadHost::Invalid)),
        ((None, None), &["user@gw.example"], Err(BadHost::Invalid)),
        ((None, None), &["gw.example, evil.example"], Err(BadHost::Invalid)),
        ((None, None), &["gw.example/x"], Err(BadHost::Invalid)),
        ((None, None), &["gw%2eexample"], Err(BadHost::Invalid)),
        ((Some("https"), Some("user@gw.example")), &["gw.example"], Err(BadHost::Invalid)),
        ((Some("https"), Some("user:secret@gw.example")), &[], Err(BadHost::Invalid)),
        ((Some("https"), Some("@gw.example")), &[], Err(BadHost::Invalid)),
        ((Some("https"), Some("")), &["gw.example"], Err(BadHost::Invalid)),
        ((Some("ftp"), Some("gw.example")), &["gw.example"], Err(BadHost::Scheme)),
        ((Some("wss"), Some("gw.example")), &[], Err(BadHost::Scheme)),
        ((Some("coap"), None), &["gw.example"], Err(BadHost::Scheme)),
    ];
    for (target, hosts, expected) in cases {
        let found = agreed_host(target, hosts.iter().map(|host| host.as_bytes()), true);
        assert_eq!(found.map(|host| host.map(Authority::host)), expected, "{target:?} {hosts:?}");
    }
    assert_eq!(
        agreed_host((None, None), [&b"gw.\xffexample"[..]], true).err(),
        Some(BadHost::Invalid)
    );
}

#[test]
fn t65_ports_that_are_the_same_port() {
    let cases = [
        ("gw.example", "gw.example:443", true, true),
        ("gw.example", "gw.example:80", false, true),
        ("gw.example", "gw.example:443", false, false),
        ("gw.example", "gw.example:80", true, false),
        ("gw.example:8443", "GW.EXAMPLE:8443", true, true),
        ("gw.example:8443", "gw.example", true, false),
        ("[2001:db8::1]:443", "[2001:DB8:0::1]", true, true),
        ("127.0.0.1:3000", "127.0.0.1:3001", false, false),
    ];
    for (one, other, is_https, expected) in cases {
        let (left, right) = (Authority::parse(one).unwrap(), Authority::parse(other).unwrap());
        assert_eq!(left.is(right, is_https), expected, "{one} {other}");
        assert_eq!(right.is(left, is_https), expected, "{other} {one}");
    }
}

#[test]
fn t65_what_is_an_authority() {
    for good in
        ["a", "a.b", "a_b:1", "127.0.0.1", "127.0.0.1:65535", "[::1]", "[::1]:3000", "gw.example:"]
    {
        assert!(Authority::parse(good).is_some(), "{good}");
    }
    for bad in [
        "",
        ":80",
        "a:b",
        "a:0",
        "a:0443",
        "a:65536",
        "a:4294967739",
        "a:+1",
        "a:-1",
        "a: 1",
        "a:1:2",
        "a b",
        "a/b",
        "a?b",
        "a#b",
        "a\\b",
        "u@a",
        "a,b",
        "::1",
        "[::1",
        "[x",
        "[",
        "::1]",
        "[::1]x",
        "[::1]80",
        "[::1%25eth0]",
        "[fe80::1%eth0]",
        "[127.0.0.1]",
        "[]",
        "é.example",
        "a\tb",
        "a;b",
        "*.example",
        "xn--\u{fffd}",
    ] {
        assert!(Authority::parse(bad).is_none(), "{bad}");
    }
}
